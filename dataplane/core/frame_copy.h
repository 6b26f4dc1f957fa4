// The one copy of a frame into its destination.
#pragma once

#include <cstddef>
#include <cstring>

#include "dataplane/core/packet.h"

namespace weir::dataplane {

// Writes packet.length bytes to `to`.
inline void copy_frame(std::byte* to, const Packet& packet) noexcept {
  std::memcpy(to, packet.data(), packet.head_length);
  to += packet.head_length;
  for (uint16_t i = 0; i < packet.body_count; ++i) {
    std::memcpy(to, packet.body[i].data, packet.body[i].length);
    to += packet.body[i].length;
  }
}

}  // namespace weir::dataplane
