#include "dataplane/nodes/source_check.h"

#include "dataplane/nodes/addresses.h"
#include "dataplane/nodes/nd_options.h"

namespace weir::dataplane {

// A packet too short or of another kind goes on: the arp stage names what is wrong.
Next SourceCheck::arp(Packet& packet, const PortInfo& port) noexcept {
  const auto* arp = packet.header<ArpPacket>(packet.l3_offset);
  if (arp == nullptr || port.trusted) return Next::arp;
  if (mac_bits(arp->sender_mac) != mac_bits(port.mac)) return drop(packet, Drop::source_arp);
  // RFC 5227 2.1.1: a probe has no sender address.
  const uint32_t sender = arp->sender_ip.wire();
  if (sender != 0 && !leased4(port, sender)) return drop(packet, Drop::source_arp);
  return Next::arp;
}

// Addresses that are neither global nor unique local by their first byte.
Next SourceCheck::ip6_unusual(Packet& packet, const PortInfo& port) noexcept {
  const Ip6Bytes& source = packet.header<Ip6Header>(packet.l3_offset)->source;
  if (is_multicast6(source) || is_host_only6(source)) return drop(packet, Drop::source_martian);
  // RFC 4291 2.5.6: a router does not forward link-local sources, its own side's neither.
  if (is_link_local6(source)) {
    return drop(packet, port.trusted ? Drop::source_martian : Drop::source_ip6);
  }
  if (port.trusted || leased6(port, source)) return Next::route;
  return drop(packet, Drop::source_ip6);
}

Next SourceCheck::neighbor_discovery(Packet& packet, const PortInfo& port) noexcept {
  const Ip6Bytes& source = packet.header<Ip6Header>(packet.l3_offset)->source;
  if (is_multicast6(source) || is_loopback6(source)) return drop(packet, Drop::source_martian);
  if (port.trusted) return Next::nd;
  // RFC 4861 4.3: unspecified while an address is probed.
  if (!is_unspecified6(source) && !is_link_local6(source) && !leased6(port, source)) {
    return drop(packet, Drop::source_nd);
  }
  const LinkLayerOption* option = find_source_link_layer(packet);
  if (option != nullptr && mac_bits(option->address) != mac_bits(port.mac)) {
    return drop(packet, Drop::source_nd);
  }
  return Next::nd;
}

// What a pod sends counts from here on, whatever becomes of it.
Next SourceCheck::police(Packet& packet, const PortInfo& port,
                         const StageContext& context) noexcept {
  if (port.policers->rx.take(context.now, packet.length)) return Next::route;
  return drop(packet, Drop::police_from_pod);
}

}  // namespace weir::dataplane
