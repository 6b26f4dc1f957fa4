// Lets a pod send only as itself: Ethernet, IPv4, IPv6, ARP and neighbour discovery
// sources must be those of its port's lease. Trusted ports may send from any address
// that may cross a router. Sources: RFC 2827, RFC 6890, RFC 4291 2.5, RFC 5227.
#pragma once

#include "dataplane/core/headers.h"
#include "dataplane/core/routable.h"
#include "dataplane/core/stage.h"

namespace weir::dataplane {

struct SourceCheck {
  static constexpr Next kNext = Next::source_check;
  static constexpr Next kUsual = Next::route;
  static Next classify(Packet& packet, StageContext& context) noexcept;
  // The same without the port's limits, so that nothing is counted.
  static Next check(Packet& packet, const PortInfo& port) noexcept;

 private:
  static Next arp(Packet& packet, const PortInfo& port) noexcept;
  static Next ip4(Packet& packet, const PortInfo& port) noexcept;
  static Next ip6(Packet& packet, const PortInfo& port) noexcept;
  static Next ip6_unusual(Packet& packet, const PortInfo& port) noexcept;
  static Next police(Packet& packet, const PortInfo& port, const StageContext& context) noexcept;
  static Next neighbor_discovery(Packet& packet, const PortInfo& port) noexcept;
};

inline bool leased4(const PortInfo& port, uint32_t address) noexcept {
  for (uint8_t i = 0; i < port.address4_count; ++i) {
    if (port.address4[i] == address) return true;
  }
  return false;
}

inline bool leased6(const PortInfo& port, const Ip6Bytes& address) noexcept {
  const auto high = load<uint64_t>(address.data());
  const auto low = load<uint64_t>(address.data() + 8);
  for (uint8_t i = 0; i < port.address6_count; ++i) {
    const std::byte* leased = reinterpret_cast<const std::byte*>(port.address6[i].data());
    if (load<uint64_t>(leased) == high && load<uint64_t>(leased + 8) == low) return true;
  }
  return false;
}

// Neighbour discovery and multicast listener messages never leave their link.
inline bool stays_on_link(uint8_t icmp6_type) noexcept {
  return (icmp6_type >= kIcmp6MldQuery && icmp6_type <= kIcmp6Redirect) ||
         icmp6_type == kIcmp6Mld2Report;
}

inline Next SourceCheck::classify(Packet& packet, StageContext& context) noexcept {
  const PortInfo* port = context.port(packet.in_port);
  if (port == nullptr) return drop(packet, Drop::source_port_gone);
  const Next next = check(packet, *port);
  if (port->policers != nullptr && next == Next::route) [[unlikely]]
    return police(packet, *port, context);
  return next;
}

inline Next SourceCheck::check(Packet& packet, const PortInfo& port) noexcept {
  packet.from_uplink = port.kind == api::PortKind::uplink;
  const auto* ethernet = packet.header<EthernetHeader>(0);
  if (mac_bits(ethernet->source) != mac_bits(port.mac) && !port.trusted) {
    return drop(packet, Drop::source_mac);
  }
  if (packet.family == Family::ip4) return ip4(packet, port);
  return packet.family == Family::ip6 ? ip6(packet, port) : arp(packet, port);
}

inline Next SourceCheck::ip4(Packet& packet, const PortInfo& port) noexcept {
  const auto* ip = packet.header<Ip4Header>(packet.l3_offset);
  if (!routable4(ip->source.raw[0])) return drop(packet, Drop::source_martian);
  if (port.trusted || leased4(port, ip->source.wire())) return Next::route;
  return drop(packet, Drop::source_ip4);
}

inline Next SourceCheck::ip6(Packet& packet, const PortInfo& port) noexcept {
  if (packet.l4_protocol == kProtoIcmp6 && packet.l4_offset != 0 &&
      stays_on_link(packet.header<IcmpHeader>(packet.l4_offset)->type)) {
    return neighbor_discovery(packet, port);
  }
  const auto* ip = packet.header<Ip6Header>(packet.l3_offset);
  if (!routable6(ip->source[0])) [[unlikely]]
    return ip6_unusual(packet, port);
  if (port.trusted || leased6(port, ip->source)) return Next::route;
  return drop(packet, Drop::source_ip6);
}

}  // namespace weir::dataplane
