// The forwarding table's contract, written the slow and obvious way, and addresses and
// prefixes that meet each other often.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <random>
#include <utility>
#include <vector>

namespace weir::dataplane {

template <size_t Bytes>
class FibModel {
 public:
  using Key = std::array<uint8_t, Bytes>;
  using Prefix = std::pair<uint8_t, Key>;

  static Key mask(Key key, int length) {
    for (size_t i = 0; i < Bytes; ++i) {
      const int kept = std::clamp(length - static_cast<int>(i) * 8, 0, 8);
      key[i] &= static_cast<uint8_t>(0xff00 >> kept);
    }
    return key;
  }

  uint32_t lookup(const Key& key) const {
    for (int length = Bytes * 8; length >= 0; --length) {
      const auto found = routes.find({static_cast<uint8_t>(length), mask(key, length)});
      if (found != routes.end()) return found->second;
    }
    return 0;
  }

  std::map<Prefix, uint32_t> routes;
};

// Addresses that differ from a few bases in few places, so that prefixes nest, part at
// every depth and crowd some nodes.
template <size_t Bytes>
class FibCases {
 public:
  using Key = typename FibModel<Bytes>::Key;

  explicit FibCases(uint64_t seed) : random_(seed), bases_(4) {
    for (Key& base : bases_) {
      for (uint8_t& byte : base) byte = static_cast<uint8_t>(random_());
    }
    bases_[1] = bases_[0];
    bases_[1][Bytes - 1] ^= 0x80;
  }

  Key address() {
    Key key = bases_[random_() % bases_.size()];
    const size_t changes = random_() % 3;
    for (size_t i = 0; i < changes; ++i) key[random_() % Bytes] = static_cast<uint8_t>(random_());
    if (random_() % 2 == 0) key[Bytes - 1] = static_cast<uint8_t>(random_());
    return key;
  }
  // Lengths below 8 are rare, as they touch much of the first level.
  uint8_t length() {
    switch (random_() % 8) {
      case 0: return static_cast<uint8_t>(random_() % 16 == 0 ? random_() % 8 : 0);
      case 1: return Bytes * 8;
      case 2: return static_cast<uint8_t>(Bytes * 8 - random_() % 9);
      case 3: return 24;
      default: return static_cast<uint8_t>(8 + random_() % (Bytes * 8 - 7));
    }
  }
  uint32_t next_hop() { return 1 + static_cast<uint32_t>(random_() % 6); }
  uint64_t number() { return random_(); }

 private:
  std::mt19937_64 random_;
  std::vector<Key> bases_;
};

}  // namespace weir::dataplane
