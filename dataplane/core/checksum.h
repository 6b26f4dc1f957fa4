// Internet checksum arithmetic (RFC 1071, RFC 1624).
//
// Sums are ones-complement sums of 16-bit words as they lie in memory; RFC 1071 2 (B)
// makes that right on any byte order, so nothing here swaps bytes. A sum is kept in
// 64 bits and folded once, at the end.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dataplane/core/headers.h"
#include "dataplane/core/packet.h"

namespace weir::dataplane {

// Adds `length` bytes to a sum; they must start at an even offset of what is summed.
inline uint64_t add_bytes(uint64_t sum, const void* data, size_t length) noexcept {
  const auto* at = static_cast<const std::byte*>(data);
  uint64_t low = 0;
  uint64_t high = 0;
  for (; length >= 8; length -= 8, at += 8) {
    const auto word = load<uint64_t>(at);
    low += word & 0xffff'ffff;
    high += word >> 32;
  }
  if ((length & 4) != 0) {
    low += load<uint32_t>(at);
    at += 4;
  }
  if ((length & 2) != 0) {
    low += load<uint16_t>(at);
    at += 2;
  }
  if ((length & 1) != 0) low += static_cast<uint64_t>(*at);
  return sum + low + high;
}

// The sum in 16 bits, not inverted.
inline uint16_t fold(uint64_t sum) noexcept {
  sum = (sum >> 32) + (sum & 0xffff'ffff);
  sum = (sum >> 16) + (sum & 0xffff);
  sum = (sum >> 16) + (sum & 0xffff);
  sum = (sum >> 16) + (sum & 0xffff);
  return static_cast<uint16_t>(sum);
}

// What goes into a checksum field (wire order), and 0 when summed data holds a right one.
inline uint16_t finish(uint64_t sum) noexcept { return static_cast<uint16_t>(~fold(sum)); }

// RFC 1624, equation 3: a summed word changes from old_word to new_word (wire order).
inline void update_checksum(Be16& field, uint16_t old_word, uint16_t new_word) noexcept {
  const uint64_t sum = static_cast<uint64_t>(static_cast<uint16_t>(~field.wire())) +
                       static_cast<uint16_t>(~old_word) + new_word;
  field.set_wire(finish(sum));
}

// Header checksum of IPv4; 0 when the header in memory holds a right one.
inline uint16_t header_checksum(const Ip4Header& ip) noexcept {
  const size_t length = ip.header_length();
  return finish(length == sizeof ip ? add_bytes(0, &ip, sizeof ip) : add_bytes(0, &ip, length));
}

// The same for a header without options: the sum of its words, kept without carries, is
// good when it is a multiple of 2^16 - 1 (it is never 0: the version is not).
inline bool plain_checksum_good(const Ip4Header& ip) noexcept {
  const auto* at = reinterpret_cast<const std::byte*>(&ip);
  const auto first = load<uint64_t>(at);
  const auto second = load<uint64_t>(at + 8);
  const uint64_t sum = (first >> 32) + static_cast<uint32_t>(first) + (second >> 32) +
                       static_cast<uint32_t>(second) + load<uint32_t>(at + 16);
  return sum % 0xffff == 0;
}

// Pseudo-headers: RFC 9293 3.1 and RFC 8200 8.1. `length`: L4 header and payload bytes.
inline uint64_t pseudo_header(const Ip4Header& ip, uint8_t protocol, uint32_t length) noexcept {
  return add_bytes(0, &ip.source, 8) + (static_cast<uint64_t>(protocol) << 8) +
         __builtin_bswap16(static_cast<uint16_t>(length));
}
inline uint64_t pseudo_header(const Ip6Header& ip, uint8_t protocol, uint32_t length) noexcept {
  return add_bytes(0, &ip.source, 32) + (static_cast<uint64_t>(protocol) << 8) +
         __builtin_bswap32(length);
}

// Sum of the frame's bytes [from, to), which may end past the snapshot. The body is
// read once; a peer that changes it meanwhile spoils its own packet only.
uint64_t sum_frame(const Packet& packet, size_t from, size_t to) noexcept;

}  // namespace weir::dataplane
