// Address bytes as the writer handles them: a node's skipped bytes lie in one word, the
// first in the highest 8 bits.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

namespace weir::dataplane {

using FibKey = std::array<uint8_t, 16>;  // network order, zero past the prefix

inline uint32_t slot_of(const FibKey& key) {
  return static_cast<uint32_t>(key[0]) << 16 | static_cast<uint32_t>(key[1]) << 8 | key[2];
}

// Up to 8 bytes from `from` on, the first in the highest bits.
inline uint64_t bytes_at(const FibKey& key, unsigned from) {
  uint64_t bytes = 0;
  for (unsigned i = from; i < std::min(from + 8, 16U); ++i)
    bytes |= uint64_t{key[i]} << (56 - 8 * (i - from));
  return bytes;
}
inline uint64_t keep_bytes(uint64_t bytes, unsigned count) {
  return count == 0 ? 0 : bytes & ~uint64_t{0} << (64 - 8 * count);
}
inline uint8_t byte_of(uint64_t bytes, unsigned position) {
  return static_cast<uint8_t>(bytes >> (56 - 8 * position));
}

inline unsigned equal_bytes(uint64_t a, uint64_t b, unsigned count) {
  return std::min(static_cast<unsigned>(std::countl_zero(a ^ b)) / 8, count);
}

}  // namespace weir::dataplane
