#include "dataplane/nodes/arp.h"

namespace weir::dataplane {
namespace {

constexpr uint16_t kHardwareEthernet = 1;
constexpr uint16_t kOperationRequest = 1;
constexpr uint16_t kOperationReply = 2;

bool well_formed(const ArpPacket& arp) noexcept {
  return arp.hardware.host() == kHardwareEthernet && arp.protocol.host() == kEtherIp4 &&
         arp.hardware_length == sizeof(MacAddress) && arp.protocol_length == sizeof(uint32_t) &&
         (arp.operation.host() == kOperationRequest || arp.operation.host() == kOperationReply);
}

}  // namespace

Next Arp::classify(Packet& packet, StageContext& context) noexcept {
  auto* arp = packet.header<ArpPacket>(packet.l3_offset);
  if (arp == nullptr || !well_formed(*arp)) return drop(packet, Drop::arp_malformed);
  const uint32_t target = arp->target_ip.wire();
  const PortInfo* port = context.port(packet.in_port);
  if (arp->operation.host() == kOperationReply || arp->sender_ip.wire() == target) {
    const bool neighbor = port != nullptr && port->kind == api::PortKind::uplink;
    return neighbor ? Next::punt : drop(packet, Drop::arp_reply_ignored);
  }
  if (port == nullptr || !port->gateway4.is_ip4() || target != port->gateway4.ip4_wire()) {
    return drop(packet, Drop::arp_not_gateway);
  }
  auto* ethernet = packet.header<EthernetHeader>(0);
  ethernet->destination = ethernet->source;
  ethernet->source = own_mac(*port);
  arp->operation.set(kOperationReply);
  arp->target_mac = arp->sender_mac;
  arp->target_ip = arp->sender_ip;
  arp->sender_mac = own_mac(*port);
  arp->sender_ip.set_wire(target);
  // The request's padding may hold anything; a port pads with zeros where it must.
  packet.trim(packet.l3_offset + sizeof *arp);
  packet.out_port = packet.in_port;
  packet.generated = true;
  return Next::tx;
}

}  // namespace weir::dataplane
