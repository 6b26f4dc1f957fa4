// Plain packets of a pod, which most are: untagged, from the port's one address of the
// family, TCP, UDP or (IPv4) any other protocol, no options, no fragment. One comparison
// with what the port's lease makes of such a frame (core/lease_match.h) says what parse and
// source_check would say, with the same findings; whatever differs goes to them.
#pragma once

#include "dataplane/core/checksum.h"
#include "dataplane/core/headers.h"
#include "dataplane/core/stage.h"
#include "dataplane/nodes/parse.h"

namespace weir::dataplane {

struct Express {
  static constexpr Next kNext = Next::express;
  static constexpr Next kUsual = Next::route;
  static Next classify(Packet& packet, StageContext& context) noexcept;

 private:
  static bool ip4(Packet& packet) noexcept;
  static bool ip6(Packet& packet) noexcept;
};

inline Next Express::classify(Packet& packet, StageContext& context) noexcept {
  packet.reset_parse();
  const PortInfo* port = context.port(packet.in_port);
  if (port == nullptr || packet.offload.any()) [[unlikely]]
    return Next::parse;
  // The snapshot has room for what is compared even when the frame is shorter.
  if (port->lease4.matches(packet.data())) [[likely]]
    return ip4(packet) ? Next::route : Next::parse;
  if (port->lease6.matches(packet.data())) return ip6(packet) ? Next::route : Next::parse;
  return Next::parse;
}

inline bool Express::ip4(Packet& packet) noexcept {
  constexpr uint16_t kL3 = sizeof(EthernetHeader);
  constexpr uint16_t kL4 = kL3 + sizeof(Ip4Header);
  const auto* ip = packet.header<Ip4Header>(kL3);
  if (ip == nullptr || ip->ttl == 0) [[unlikely]]
    return false;
  const uint16_t total_length = ip->total_length.host();
  if (total_length < sizeof *ip || uint32_t{total_length} + kL3 > packet.length || !plain_checksum_good(*ip))
      [[unlikely]] {
    return false;
  }
  packet.trim(uint32_t{total_length} + kL3);
  packet.family = Family::ip4;
  packet.l3_offset = kL3;
  packet.l4_protocol = ip->protocol;
  packet.l4_offset = kL4;
  packet.l4_length = static_cast<uint16_t>(total_length - sizeof *ip);
  return Parse::l4(packet) == Drop::count;
}

inline bool Express::ip6(Packet& packet) noexcept {
  constexpr uint16_t kL3 = sizeof(EthernetHeader);
  constexpr uint16_t kL4 = kL3 + sizeof(Ip6Header);
  const auto* ip = packet.header<Ip6Header>(kL3);
  if (ip == nullptr || ip->hop_limit == 0) [[unlikely]]
    return false;
  if (ip->next_header != kProtoTcp && ip->next_header != kProtoUdp) return false;
  const uint32_t length = uint32_t{kL4} + ip->payload_length.host();
  if (length > packet.length) [[unlikely]]
    return false;
  packet.trim(length);
  packet.family = Family::ip6;
  packet.l3_offset = kL3;
  packet.l4_protocol = ip->next_header;
  packet.l4_offset = kL4;
  packet.l4_length = ip->payload_length.host();
  return Parse::l4(packet) == Drop::count;
}

}  // namespace weir::dataplane
