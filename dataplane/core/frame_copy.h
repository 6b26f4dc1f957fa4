// The one copy of a frame into its destination.
#pragma once

#include <cstddef>
#include <cstring>

#include "dataplane/core/packet.h"

namespace weir::dataplane {

// Frames are mostly 60 bytes and more, and a head is mostly a snapshot of 128 bytes at most
// (headers that were put before it make it longer). Two copies of fixed size that overlap
// are faster than a call of memcpy.
inline void copy_head(std::byte* to, const std::byte* from, size_t length) noexcept {
  if (length > 128) [[unlikely]] {
    std::memcpy(to, from, length);
  } else if (length >= 64) [[likely]] {
    std::memcpy(to, from, 64);
    if (length > 64) std::memcpy(to + length - 64, from + length - 64, 64);
  } else if (length >= 32) {
    std::memcpy(to, from, 32);
    std::memcpy(to + length - 32, from + length - 32, 32);
  } else {
    std::memcpy(to, from, length);
  }
}

// A pod that sends to itself may name the same memory for a body and for what it lends: they may
// overlap. memmove costs no more.
inline void copy_body(std::byte* to, const std::byte* from, size_t length) noexcept {
  std::memmove(to, from, length);
}

// Writes packet.length bytes to `to`.
inline void copy_frame(std::byte* to, const Packet& packet) noexcept {
  copy_head(to, packet.data(), packet.head_length);
  to += packet.head_length;
  for (uint16_t i = 0; i < packet.body_count; ++i) {
    copy_body(to, packet.body[i].data, packet.body[i].length);
    to += packet.body[i].length;
  }
}

}  // namespace weir::dataplane
