// What tells a flow's packets from all others, and its hash.
#pragma once

#include <nmmintrin.h>

#include <bit>

#include "dataplane/core/headers.h"

namespace weir::dataplane {

struct Ip4FlowKey;
struct Ip6FlowKey;

// What a hash depends on beside the key. With secret words nobody outside can choose keys that
// meet; these give the same numbers in every run: digits without pattern, of the golden ratio
// and of the roots of 2, 3, 5 and 7.
struct FlowSeed {
  std::array<uint64_t, 5> words{0x9e3779b97f4a7c15, 0x6a09e667f3bcc909, 0xbb67ae8584caa73b,
                                0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1};
};

// As one direction's packets show it. IPv4 addresses stand in the first four bytes, the
// rest is zero; ports are in wire order (0 for protocols without).
struct FlowKey {
  Ip6Bytes source{};
  Ip6Bytes destination{};
  uint16_t source_port = 0;
  uint16_t destination_port = 0;
  uint8_t protocol = 0;
  Family family = Family::none;
  uint16_t reserved = 0;

  // Word by word: keys have no padding, and this is branch-free.
  friend bool operator==(const FlowKey& a, const FlowKey& b) noexcept {
    uint64_t difference = 0;
    for (size_t at = 0; at < sizeof(FlowKey); at += sizeof(uint64_t))
      difference |= a.word(at) ^ b.word(at);
    return difference == 0;
  }

  // Every bit depends on the whole key.
  uint64_t hash(const FlowSeed& seed = {}) const noexcept;
  // A hash of less than the key that costs an instruction a word. Anybody can choose keys that
  // meet.
  uint32_t digest() const noexcept;

 private:
  friend struct Ip4FlowKey;
  friend struct Ip6FlowKey;
  static constexpr size_t kRest = 32;  // where ports and kind begin

  // Both halves of the product, so that high bits of the input reach low ones of the hash.
  static uint64_t fold(uint64_t a, uint64_t b) noexcept {
    __extension__ using Wide = unsigned __int128;
    const Wide product = static_cast<Wide>(a) * b;
    return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
  }
  static uint64_t finish(uint64_t hash) noexcept { return fold(hash, 0x510e527fade682d1); }
  uint64_t word(size_t at) const noexcept {
    return load<uint64_t>(reinterpret_cast<const char*>(this) + at);
  }
};
static_assert(sizeof(FlowKey) == 40 && std::has_unique_object_representations_v<FlowKey>);

// FlowKey from the ports on, apart since not everybody needs all of it.
struct FlowKeyRest {
  uint32_t ports = 0;  // source, destination
  uint32_t kind = 0;   // protocol, family

  uint64_t word() const noexcept { return ports | uint64_t{kind} << 32; }
  static FlowKeyRest of(uint64_t word) noexcept {
    return {static_cast<uint32_t>(word), static_cast<uint32_t>(word >> 32)};
  }
};

// A key of family ip4: what most packets are looked up by.
struct Ip4FlowKey {
  uint64_t addresses = 0;  // source, destination
  FlowKeyRest rest;

  static Ip4FlowKey of(const FlowKey& key) noexcept {
    return {addresses_of(key), FlowKeyRest::of(key.word(FlowKey::kRest))};
  }
  explicit operator FlowKey() const noexcept {
    using Words = std::array<uint64_t, sizeof(FlowKey) / sizeof(uint64_t)>;
    return std::bit_cast<FlowKey>(
        Words{static_cast<uint32_t>(addresses), 0, addresses >> 32, 0, rest.word()});
  }
  // `key` of any family: they differ in `rest`.
  bool operator==(const FlowKey& key) const noexcept {
    return ((addresses ^ addresses_of(key)) | (rest.word() ^ key.word(FlowKey::kRest))) == 0;
  }
  static uint64_t addresses_of(const FlowKey& key) noexcept {
    return load<uint32_t>(key.source.data()) |
           uint64_t{load<uint32_t>(key.destination.data())} << 32;
  }
  // The same as of the FlowKey.
  uint64_t hash(const FlowSeed& seed = {}) const noexcept {
    return FlowKey::finish(FlowKey::fold(addresses ^ seed.words[0], rest.word() ^ seed.words[4]));
  }
  uint32_t digest() const noexcept {
    return _mm_crc32_u32(static_cast<uint32_t>(_mm_crc32_u64(0, addresses)), rest.ports);
  }
};

// A key of family ip6 in words, which stay in registers.
struct Ip6FlowKey {
  std::array<uint64_t, 4> addresses{};  // source, destination
  FlowKeyRest rest;

  static Ip6FlowKey of(const FlowKey& key) noexcept { return std::bit_cast<Ip6FlowKey>(key); }
  explicit operator FlowKey() const noexcept { return std::bit_cast<FlowKey>(*this); }
  // `key` of any family: they differ in `rest`.
  bool operator==(const FlowKey& key) const noexcept {
    uint64_t difference = rest.word() ^ key.word(FlowKey::kRest);
    for (size_t i = 0; i < addresses.size(); ++i)
      difference |= addresses[i] ^ key.word(i * sizeof(uint64_t));
    return difference == 0;
  }
  // The same as of the FlowKey. Folded twice already, so it needs no finish().
  uint64_t hash(const FlowSeed& seed = {}) const noexcept {
    const auto& words = seed.words;
    const uint64_t sources = FlowKey::fold(addresses[0] ^ words[0], addresses[1] ^ words[1]);
    const uint64_t destinations = FlowKey::fold(addresses[2] ^ words[2], addresses[3] ^ words[3]);
    return FlowKey::fold(sources ^ destinations, rest.word() ^ words[4]);
  }
  // Of the halves that tell hosts of a network apart.
  uint32_t digest() const noexcept {
    const uint64_t hosts = _mm_crc32_u64(_mm_crc32_u64(0, addresses[1]), addresses[3]);
    return _mm_crc32_u32(static_cast<uint32_t>(hosts), rest.ports);
  }
};
static_assert(sizeof(Ip6FlowKey) == sizeof(FlowKey));

inline uint64_t FlowKey::hash(const FlowSeed& seed) const noexcept {
  return family == Family::ip4 ? Ip4FlowKey::of(*this).hash(seed)
                               : Ip6FlowKey::of(*this).hash(seed);
}
inline uint32_t FlowKey::digest() const noexcept {
  return family == Family::ip4 ? Ip4FlowKey::of(*this).digest() : Ip6FlowKey::of(*this).digest();
}

}  // namespace weir::dataplane
