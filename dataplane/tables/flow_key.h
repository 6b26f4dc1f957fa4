// What tells a flow's packets from all others, and its hash.
#pragma once

#include <bit>

#include "dataplane/core/headers.h"

namespace weir::dataplane {

struct Ip4FlowKey;

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

  // Every bit depends on the whole key. With a secret seed nobody outside can choose keys
  // that meet; seed 0 gives the same numbers in every run.
  uint64_t hash(uint64_t seed = 0) const noexcept;

 private:
  friend struct Ip4FlowKey;
  static constexpr size_t kRest = 32;  // where ports and kind begin

  // Odd numbers without pattern: digits of the golden ratio, of the roots of 2 and of 3.
  static constexpr uint64_t kFirst = 0x9e3779b97f4a7c15;
  static constexpr uint64_t kSecond = 0x6a09e667f3bcc909;
  static constexpr uint64_t kThird = 0xbb67ae8584caa73b;

  // Both halves of the product, so that high bits of the input reach low ones of the hash.
  static uint64_t fold(uint64_t a, uint64_t b) noexcept {
    __extension__ using Wide = unsigned __int128;
    const Wide product = static_cast<Wide>(a) * b;
    return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
  }
  uint64_t word(size_t at) const noexcept {
    return load<uint64_t>(reinterpret_cast<const char*>(this) + at);
  }
};
static_assert(sizeof(FlowKey) == 40 && std::has_unique_object_representations_v<FlowKey>);

// A key of family ip4 in two words: what most packets are looked up by.
struct Ip4FlowKey {
  uint64_t addresses = 0;  // source, destination
  uint64_t rest = 0;       // FlowKey from the ports on

  explicit operator FlowKey() const noexcept {
    using Words = std::array<uint64_t, sizeof(FlowKey) / sizeof(uint64_t)>;
    return std::bit_cast<FlowKey>(
        Words{static_cast<uint32_t>(addresses), 0, addresses >> 32, 0, rest});
  }
  // `key` of any family: they differ in `rest`.
  bool operator==(const FlowKey& key) const noexcept {
    return ((addresses ^ addresses_of(key)) | (rest ^ key.word(FlowKey::kRest))) == 0;
  }
  static uint64_t addresses_of(const FlowKey& key) noexcept {
    return load<uint32_t>(key.source.data()) |
           uint64_t{load<uint32_t>(key.destination.data())} << 32;
  }
  // The same as of the FlowKey.
  uint64_t hash(uint64_t seed = 0) const noexcept {
    return FlowKey::fold(FlowKey::fold(addresses ^ seed ^ FlowKey::kSecond,
                                       rest ^ FlowKey::kFirst ^ seed),
                         FlowKey::kThird);
  }
};

inline uint64_t FlowKey::hash(uint64_t seed) const noexcept {
  if (family == Family::ip4) [[likely]]
    return Ip4FlowKey{Ip4FlowKey::addresses_of(*this), word(kRest)}.hash(seed);
  const uint64_t ports = word(kRest) ^ kFirst;
  const uint64_t sources = fold(word(0) ^ seed ^ kSecond, word(8) ^ kFirst);
  const uint64_t destinations = fold(word(16) ^ seed ^ kThird, word(24) ^ kSecond);
  return fold(fold(sources ^ std::rotl(destinations, 29) ^ kSecond, ports ^ seed), kThird);
}

}  // namespace weir::dataplane
