#include "dataplane/nodes/nd.h"

#include "dataplane/core/checksum.h"
#include "dataplane/nodes/addresses.h"
#include "dataplane/nodes/nd_options.h"

namespace weir::dataplane {
namespace {

constexpr uint8_t kNdHopLimit = 255;  // proves that no router was on the way
constexpr uint32_t kAdvertRouter = 0x8000'0000;
constexpr uint32_t kAdvertSolicited = 0x4000'0000;
constexpr uint32_t kAdvertOverride = 0x2000'0000;
constexpr Ip6Bytes kAllNodes{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

struct Advertisement {
  NeighborMessage message;
  LinkLayerOption option;
};
static_assert(sizeof(Advertisement) == 32);

// RFC 4291 2.7.1: ff02::1:ff00:0/104 with the target's last 24 bits.
bool is_solicited_node(const Ip6Bytes& group, const Ip6Bytes& target) noexcept {
  constexpr std::array<uint8_t, 13> kPrefix{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};
  return std::memcmp(group.data(), kPrefix.data(), kPrefix.size()) == 0 &&
         std::memcmp(group.data() + 13, target.data() + 13, 3) == 0;
}

// RFC 4861 7.1.1 and, for what all messages share, 6.1 and 7.1.2; RFC 6980 for fragments.
bool valid_message(const Packet& packet, const Ip6Header& ip, const IcmpHeader& icmp) noexcept {
  if (packet.fragment || ip.hop_limit != kNdHopLimit || icmp.code != 0) return false;
  if (!for_each_nd_option(packet, [](uint8_t, size_t, size_t) {})) return false;
  const uint64_t sum = pseudo_header(ip, kProtoIcmp6, packet.l4_length) +
                       sum_frame(packet, packet.l4_offset, packet.l4_offset + packet.l4_length);
  return finish(sum) == 0;
}

bool valid_solicitation(const Packet& packet, const Ip6Header& ip,
                        const Ip6Bytes& target) noexcept {
  if (is_multicast6(target)) return false;
  if (!is_unspecified6(ip.source)) return true;
  return is_solicited_node(ip.destination, target) && find_source_link_layer(packet) == nullptr;
}

// Rebuilds the packet as the answer to itself (RFC 4861 7.2.4). 72 bytes of IPv6 fit any
// snapshot's storage.
void make_advertisement(Packet& packet, const Ip6Bytes& target, const MacAddress& mac) noexcept {
  auto* ethernet = packet.header<EthernetHeader>(0);
  auto* ip = packet.header<Ip6Header>(packet.l3_offset);
  const bool probe = is_unspecified6(ip->source);
  ethernet->destination = ethernet->source;
  ethernet->source = mac;

  ip->version_class_flow.set(0x6000'0000);
  ip->payload_length.set(sizeof(Advertisement));
  ip->next_header = kProtoIcmp6;
  ip->hop_limit = kNdHopLimit;
  ip->destination = probe ? kAllNodes : ip->source;
  ip->source = target;
  if (probe) ethernet->destination = {{0x33, 0x33, 0, 0, 0, 1}};

  packet.l4_offset = static_cast<uint16_t>(packet.l3_offset + sizeof *ip);
  packet.l4_length = sizeof(Advertisement);
  packet.length = packet.l4_offset + sizeof(Advertisement);
  packet.head_length = static_cast<uint16_t>(packet.length);
  packet.body_count = 0;
  auto* advert = packet.header<Advertisement>(packet.l4_offset);
  advert->message.icmp = {
      .type = kIcmp6NeighborAdvertisement, .code = 0, .checksum = {}, .rest = {}};
  advert->message.icmp.rest.set(kAdvertRouter | kAdvertOverride | (probe ? 0 : kAdvertSolicited));
  advert->message.target = target;
  advert->option = {.type = kNdTargetLinkLayer, .length = 1, .address = mac};
  advert->message.icmp.checksum.set_wire(finish(pseudo_header(*ip, kProtoIcmp6, sizeof *advert) +
                                                add_bytes(0, advert, sizeof *advert)));
}

bool is_own(const Ip6Bytes& target, const PortInfo& port) noexcept {
  if (!port.gateway6.is_ip6()) return false;
  if (target == port.gateway6.bytes) return true;
  return target == (port.kind == api::PortKind::uplink ? link_local6(port.mac) : kGatewayLinkLocal);
}

}  // namespace

Next Nd::classify(Packet& packet, StageContext& context) noexcept {
  const auto* ip = packet.header<Ip6Header>(packet.l3_offset);
  const auto* icmp = packet.header<IcmpHeader>(packet.l4_offset);
  // Multicast listener messages have rules of their own and nobody to hear them.
  if (nd_options_offset(icmp->type) == 0) return drop(packet, Drop::nd_ignored);
  if (!valid_message(packet, *ip, *icmp)) return drop(packet, Drop::nd_malformed);
  const PortInfo* port = context.port(packet.in_port);
  const bool uplink = port != nullptr && port->kind == api::PortKind::uplink;
  if (icmp->type == kIcmp6NeighborAdvertisement && uplink) return Next::punt;
  if (icmp->type != kIcmp6NeighborSolicitation) return drop(packet, Drop::nd_ignored);

  // valid_message: the whole message is in the snapshot
  const Ip6Bytes target = packet.header<NeighborMessage>(packet.l4_offset)->target;
  if (!valid_solicitation(packet, *ip, target)) return drop(packet, Drop::nd_malformed);
  if (port == nullptr || !is_own(target, *port)) {
    // A pod that probes its own address gets silence: nobody else has it.
    return drop(packet, is_unspecified6(ip->source) ? Drop::nd_ignored : Drop::nd_not_gateway);
  }
  make_advertisement(packet, target, own_mac(*port));
  packet.out_port = packet.in_port;
  packet.generated = true;
  return Next::tx;
}

}  // namespace weir::dataplane
