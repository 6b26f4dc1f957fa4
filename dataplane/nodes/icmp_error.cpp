#include "dataplane/nodes/icmp_error.h"

#include <algorithm>

#include "dataplane/core/checksum.h"
#include "dataplane/core/routable.h"
#include "dataplane/nodes/addresses.h"
#include "dataplane/nodes/local.h"

namespace weir::dataplane {
namespace {

constexpr uint8_t kInternetworkControl = 0xc0;  // RFC 1812 4.3.2.5: precedence of errors
constexpr uint32_t kHeaders4 = sizeof(Ip4Header) + sizeof(IcmpHeader);
constexpr uint32_t kHeaders6 = sizeof(Ip6Header) + sizeof(IcmpHeader);
static_assert(kHeadroom >= kHeaders6, "the new headers go in front of the quoted packet");
static_assert(kScratchSize >= kMaxIcmp6Error - kHeaders6);

// RFC 1122 3.2.2 and RFC 1812 4.3.2.7. ICMP messages other than queries are errors or
// may be: none is answered.
bool may_answer4(const Packet& packet, const Ip4Header& ip) noexcept {
  if (!routable4(ip.source.raw[0])) return false;
  if (ip.destination.raw[0] >= 224) return false;
  if (packet.l4_protocol != kProtoIcmp4) return true;
  const uint8_t type = static_cast<uint8_t>(packet.data()[packet.l4_offset]);
  return type == kIcmp4Echo || type == kIcmp4EchoReply || (type >= 13 && type <= 18);
}

// RFC 4443 2.4 e. Types below 128 are errors.
bool may_answer6(const Packet& packet, const Ip6Header& ip) noexcept {
  if (is_multicast6(ip.source) || is_host_only6(ip.source)) return false;
  if (is_multicast6(ip.destination)) return false;
  if (packet.l4_protocol != kProtoIcmp6) return true;
  const uint8_t type = static_cast<uint8_t>(packet.data()[packet.l4_offset]);
  return type >= 128 && type != kIcmp6Redirect;
}

bool may_answer(Packet& packet) noexcept {
  // Only first fragments: the rest would repeat the same error.
  if (packet.generated || packet.l4_offset == 0) return false;
  return packet.family == Family::ip4
             ? may_answer4(packet, *packet.header<Ip4Header>(packet.l3_offset))
             : may_answer6(packet, *packet.header<Ip6Header>(packet.l3_offset));
}

// Copies what the quote needs of the body out of the peer's memory, once, and makes that
// copy the packet's body.
void quote_body(Packet& packet, StageContext& context, uint32_t bytes) noexcept {
  const size_t index = context.index_of(packet);
  std::byte* copy = context.scratch + index * kScratchSize;
  uint32_t copied = 0;
  for (uint16_t i = 0; i < packet.body_count && copied < bytes; ++i) {
    const uint32_t part = std::min(packet.body[i].length, bytes - copied);
    std::memcpy(copy + copied, packet.body[i].data, part);
    copied += part;
  }
  context.segments[index] = {copy, copied};
  packet.body = &context.segments[index];
  packet.body_count = copied == 0 ? 0 : 1;
  packet.length = packet.head_length + copied;
}

// Keeps at most `room` bytes of the IP packet and puts an Ethernet header and `headers`
// zeroed bytes before them.
void wrap(Packet& packet, StageContext& context, uint32_t room, size_t headers) noexcept {
  const uint32_t quote = std::min(packet.length - packet.l3_offset, room);
  packet.trim(packet.l3_offset + quote);
  quote_body(packet, context, packet.length - packet.head_length);
  const auto new_front = static_cast<uint16_t>(headers + sizeof(EthernetHeader) - packet.l3_offset);
  packet.head_offset = static_cast<uint16_t>(packet.head_offset - new_front);
  packet.head_length = static_cast<uint16_t>(packet.head_length + new_front);
  packet.length += new_front;
  std::memset(packet.data(), 0, sizeof(EthernetHeader) + headers);
}

void start_new_packet(Packet& packet, Family family, uint8_t protocol, size_t ip_header) noexcept {
  const Drop cause = packet.drop;
  packet.reset_parse();
  packet.drop = cause;
  packet.offload = {};
  packet.generated = true;
  packet.family = family;
  packet.l3_offset = sizeof(EthernetHeader);
  packet.l4_offset = static_cast<uint16_t>(packet.l3_offset + ip_header);
  packet.l4_length = static_cast<uint16_t>(packet.length - packet.l4_offset);
  packet.l4_protocol = protocol;
}

void build4(Packet& packet, StageContext& context, const PortInfo& port) noexcept {
  const IcmpCause cause = packet.icmp;
  const Be32 sender = packet.header<Ip4Header>(packet.l3_offset)->source;
  const uint32_t limit = std::min<uint32_t>(kMaxIcmp4Error, port.mtu);
  wrap(packet, context, limit - kHeaders4, kHeaders4);
  start_new_packet(packet, Family::ip4, kProtoIcmp4, sizeof(Ip4Header));
  packet.header<EthernetHeader>(0)->ethertype.set(kEtherIp4);

  auto* icmp = packet.header<IcmpHeader>(packet.l4_offset);
  icmp->type = cause.type4;
  icmp->code = cause.code4;
  icmp->rest.set(cause.mtu & 0xffff);
  icmp->checksum.set_wire(finish(sum_frame(packet, packet.l4_offset, packet.length)));

  auto* ip = packet.header<Ip4Header>(packet.l3_offset);
  ip->version_ihl = 0x45;
  ip->tos = kInternetworkControl;
  ip->total_length.set(static_cast<uint16_t>(packet.length - packet.l3_offset));
  ip->fragment.set(kIp4DontFragment);  // RFC 6864: so the identification may stay 0
  ip->ttl = kGeneratedTtl;
  ip->protocol = kProtoIcmp4;
  ip->source.set_wire(port.gateway4.ip4_wire());
  ip->destination = sender;
  ip->checksum.set_wire(header_checksum(*ip));
}

void build6(Packet& packet, StageContext& context, const PortInfo& port) noexcept {
  const IcmpCause cause = packet.icmp;
  const Ip6Bytes sender = packet.header<Ip6Header>(packet.l3_offset)->source;
  const uint32_t limit = std::min<uint32_t>(kMaxIcmp6Error, port.mtu);
  wrap(packet, context, limit - kHeaders6, kHeaders6);
  start_new_packet(packet, Family::ip6, kProtoIcmp6, sizeof(Ip6Header));
  packet.header<EthernetHeader>(0)->ethertype.set(kEtherIp6);

  auto* ip = packet.header<Ip6Header>(packet.l3_offset);
  ip->version_class_flow.set(0x6000'0000);
  ip->payload_length.set(packet.l4_length);
  ip->next_header = kProtoIcmp6;
  ip->hop_limit = kGeneratedTtl;
  ip->source = port.gateway6.bytes;
  ip->destination = sender;

  auto* icmp = packet.header<IcmpHeader>(packet.l4_offset);
  icmp->type = cause.type6;
  icmp->code = cause.code6;
  icmp->rest.set(cause.mtu);
  icmp->checksum.set_wire(finish(pseudo_header(*ip, kProtoIcmp6, packet.l4_length) +
                                 sum_frame(packet, packet.l4_offset, packet.length)));
}

}  // namespace

Next IcmpError::classify(Packet& packet, StageContext& context) noexcept {
  const PortInfo* port = context.port(packet.in_port);
  const bool ip4 = packet.family == Family::ip4;
  if (port == nullptr || !may_answer(packet) || (ip4 ? port->gateway4 : port->gateway6).is_none()) {
    return drop(packet, Drop::icmp_no_error);
  }
  TokenBucket& bucket = context.icmp_buckets[packet.in_port];
  if (!bucket.take(context.now, context.icmp_error_cost, kIcmpErrorBurst)) {
    return drop(packet, Drop::icmp_rate_limited);
  }
  ip4 ? build4(packet, context, *port) : build6(packet, context, *port);
  return Next::route;
}

}  // namespace weir::dataplane
