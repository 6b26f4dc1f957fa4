#include "dataplane/neighbor/messages.h"

#include <algorithm>

#include "dataplane/core/checksum.h"
#include "dataplane/core/headers.h"
#include "dataplane/nodes/addresses.h"
#include "dataplane/nodes/nd_options.h"

namespace weir::dataplane {

namespace {

constexpr uint16_t kArpEthernet = 1;
constexpr uint16_t kArpRequest = 1;
constexpr uint16_t kArpReply = 2;
constexpr MacAddress kBroadcast{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
constexpr uint8_t kNdHopLimit = 255;  // RFC 4861 7.1: proves that no router was on the way
constexpr uint32_t kAdvertSolicited = 0x4000'0000;

struct Solicitation {
  NeighborMessage message;
  LinkLayerOption source;
};
static_assert(sizeof(Solicitation) == 32);

template <class T>
T* append(Packet& packet) {
  const uint16_t at = packet.head_length;
  packet.head_length = static_cast<uint16_t>(at + sizeof(T));
  packet.length = packet.head_length;
  return new (packet.data() + at) T{};
}

void start_frame(Packet& packet, const MacAddress& to, const MacAddress& from, uint16_t ethertype) {
  packet = Packet{};
  packet.generated = true;
  auto* ethernet = append<EthernetHeader>(packet);
  ethernet->destination = to;
  ethernet->source = from;
  ethernet->ethertype.set(ethertype);
}

void make_arp(const Asker& asker, const IpAddress& target, const MacAddress* known, Packet& packet) {
  start_frame(packet, known != nullptr ? *known : kBroadcast, asker.mac, kEtherArp);
  auto* arp = append<ArpPacket>(packet);
  arp->hardware.set(kArpEthernet);
  arp->protocol.set(kEtherIp4);
  arp->hardware_length = sizeof(MacAddress);
  arp->protocol_length = sizeof(uint32_t);
  arp->operation.set(kArpRequest);
  arp->sender_mac = asker.mac;
  arp->sender_ip.set_wire(asker.address4.ip4_wire());
  arp->target_ip.set_wire(target.ip4_wire());
}

// RFC 4291 2.7.1 and RFC 2464 7: ff02::1:ffXX:XXXX and 33:33:ff:XX:XX:XX.
Ip6Bytes solicited_node(const Ip6Bytes& target) {
  return {0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, target[13], target[14], target[15]};
}
MacAddress solicited_mac(const Ip6Bytes& target) {
  return {{0x33, 0x33, 0xff, target[13], target[14], target[15]}};
}

void make_solicitation(const Asker& asker, const Ip6Bytes& target, const MacAddress* known, Packet& packet) {
  start_frame(packet, known != nullptr ? *known : solicited_mac(target), asker.mac, kEtherIp6);
  auto* ip = append<Ip6Header>(packet);
  ip->version_class_flow.set(0x6000'0000);
  ip->payload_length.set(sizeof(Solicitation));
  ip->next_header = kProtoIcmp6;
  ip->hop_limit = kNdHopLimit;
  ip->source = asker.address6.bytes;
  ip->destination = known != nullptr ? target : solicited_node(target);
  auto* body = append<Solicitation>(packet);
  body->message.icmp.type = kIcmp6NeighborSolicitation;
  body->message.target = target;
  body->source = {.type = kNdSourceLinkLayer, .length = 1, .address = asker.mac};
  body->message.icmp.checksum.set_wire(
      finish(pseudo_header(*ip, kProtoIcmp6, sizeof *body) + add_bytes(0, body, sizeof *body)));
}

std::optional<Announcement> read_arp(const Packet& packet) {
  const auto* arp = packet.header<ArpPacket>(packet.l3_offset);
  if (arp == nullptr) return std::nullopt;
  Announcement said{.address = {.family = Family::ip4}, .mac = arp->sender_mac};
  std::copy_n(arp->sender_ip.raw.begin(), arp->sender_ip.raw.size(), said.address.bytes.begin());
  said.answer = arp->operation.host() == kArpReply && arp->sender_ip.wire() != arp->target_ip.wire();
  return said;
}

// RFC 4861 7.2.5: without a target link-layer address there is nothing to learn.
std::optional<Announcement> read_advertisement(const Packet& packet) {
  const auto* message = packet.header<NeighborMessage>(packet.l4_offset);
  if (message == nullptr || message->icmp.type != kIcmp6NeighborAdvertisement) return std::nullopt;
  const LinkLayerOption* option = nullptr;
  for_each_nd_option(packet, [&](uint8_t type, size_t at, size_t) {
    if (type == kNdTargetLinkLayer) option = reinterpret_cast<const LinkLayerOption*>(packet.data() + at);
  });
  if (option == nullptr) return std::nullopt;
  return Announcement{.address = ip6_address(message->target),
                      .mac = option->address,
                      .answer = (message->icmp.rest.host() & kAdvertSolicited) != 0};
}

}  // namespace

void make_question(const Asker& asker, const IpAddress& target, const MacAddress* known, Packet& packet) {
  if (target.is_ip4()) {
    make_arp(asker, target, known, packet);
  } else {
    make_solicitation(asker, target.bytes, known, packet);
  }
}

std::optional<Announcement> read_announcement(const Packet& packet) {
  const auto said = packet.family == Family::ip6 ? read_advertisement(packet) : read_arp(packet);
  if (!said || said->mac.is_multicast() || said->mac.is_zero()) return std::nullopt;
  return said;
}

}  // namespace weir::dataplane
