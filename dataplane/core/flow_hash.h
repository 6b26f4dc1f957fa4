// One number a flow: packets of a connection's direction share it, its fragments
// included, so that what chooses a queue by it keeps their order.
#pragma once

#include "dataplane/core/headers.h"
#include "dataplane/core/packet.h"

namespace weir::dataplane {

// Protocols whose header starts with two ports.
inline bool has_ports(uint8_t protocol) noexcept {
  switch (protocol) {
    case kProtoTcp:
    case kProtoUdp:
    case kProtoSctp: return true;
    default: return false;
  }
}
// A later fragment has no header and so no ports.
inline bool has_ports(const Packet& packet) noexcept {
  return packet.l4_offset != 0 && has_ports(packet.l4_protocol);
}

namespace flow {

// Odd numbers without pattern (the golden ratio's and the square root of 2's digits).
inline constexpr uint64_t kFirst = 0x9e3779b97f4a7c15;
inline constexpr uint64_t kSecond = 0x6a09e667f3bcc909;

inline uint64_t mix(uint64_t hash, uint64_t word) noexcept {
  hash = (hash ^ word) * kFirst;
  return hash ^ hash >> 32;
}

}  // namespace flow

// For packets that went through the parse stage; the same for all that are not IP. The
// upper bits are the best: scale, do not mask.
inline uint32_t flow_hash(const Packet& packet) noexcept {
  if (packet.family == Family::none) return 0;
  const std::byte* ip = packet.data() + packet.l3_offset;  // parse checked the header's length
  uint64_t hash = 0;  // without the protocol: fragments of an IPv6 packet may differ in it
  if (packet.family == Family::ip4) {
    hash = flow::mix(hash, load<uint64_t>(ip + offsetof(Ip4Header, source)));
  } else {
    for (size_t at = offsetof(Ip6Header, source); at < sizeof(Ip6Header); at += sizeof(uint64_t))
      hash = flow::mix(hash, load<uint64_t>(ip + at));
  }
  if (!packet.fragment && has_ports(packet))
    hash = flow::mix(hash, load<uint32_t>(packet.data() + packet.l4_offset));
  return static_cast<uint32_t>(hash * flow::kSecond >> 32);
}

}  // namespace weir::dataplane
