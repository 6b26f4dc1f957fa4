// Options of neighbour discovery messages (RFC 4861 4.6), looked at in the snapshot only.
#pragma once

#include "dataplane/core/headers.h"
#include "dataplane/core/packet.h"

namespace weir::dataplane {

inline constexpr uint8_t kNdSourceLinkLayer = 1;
inline constexpr uint8_t kNdTargetLinkLayer = 2;

// Bytes from the ICMPv6 header to the first option; 0 for messages without any.
size_t nd_options_offset(uint8_t icmp6_type) noexcept;

// Calls visit(type, offset, bytes) for each option; false when one is malformed or
// reaches past the message or the snapshot (RFC 4861 7.1: such messages are discarded).
template <class F>
bool for_each_nd_option(const Packet& packet, F&& visit) noexcept {
  const auto type = static_cast<uint8_t>(packet.data()[packet.l4_offset]);
  const size_t first = nd_options_offset(type);
  const size_t end = size_t{packet.l4_offset} + packet.l4_length;
  if (first == 0) return true;
  if (end > packet.head_length || packet.l4_length < first) return false;
  for (size_t at = packet.l4_offset + first; at < end;) {
    if (end - at < 8) return false;
    const size_t bytes = static_cast<uint8_t>(packet.data()[at + 1]) * 8U;
    if (bytes == 0 || bytes > end - at) return false;
    visit(static_cast<uint8_t>(packet.data()[at]), at, bytes);
    at += bytes;
  }
  return true;
}

// The last source link-layer address option, nullptr without one or when malformed.
const LinkLayerOption* find_source_link_layer(const Packet& packet) noexcept;

}  // namespace weir::dataplane
