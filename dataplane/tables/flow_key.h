// What tells a flow's packets from all others, and its hash.
#pragma once

#include <bit>

#include "dataplane/core/headers.h"

namespace weir::dataplane {

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
  uint64_t hash(uint64_t seed = 0) const noexcept {
    const uint64_t ports = word(offsetof(FlowKey, source_port)) ^ kFirst;
    if (family == Family::ip4) [[likely]] {
      const uint64_t addresses =
          load<uint32_t>(source.data()) | uint64_t{load<uint32_t>(destination.data())} << 32;
      return fold(fold(addresses ^ seed ^ kSecond, ports ^ seed), kThird);
    }
    const uint64_t sources = fold(word(0) ^ seed ^ kSecond, word(8) ^ kFirst);
    const uint64_t destinations = fold(word(16) ^ seed ^ kThird, word(24) ^ kSecond);
    return fold(fold(sources ^ std::rotl(destinations, 29) ^ kSecond, ports ^ seed), kThird);
  }

 private:
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

}  // namespace weir::dataplane
