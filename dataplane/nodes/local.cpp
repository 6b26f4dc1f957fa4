#include "dataplane/nodes/local.h"

#include <utility>

#include "dataplane/core/checksum.h"

namespace weir::dataplane {
namespace {

constexpr IcmpCause kPortUnreachable{
    .type4 = kIcmp4Unreachable, .code4 = 3, .type6 = kIcmp6Unreachable, .code6 = 4};

// Changes the type only, so the checksum is updated and the payload never read: a
// request with a wrong checksum gets an answer with a wrong one.
void answer_echo(IcmpHeader& icmp, uint8_t reply_type) noexcept {
  const auto before = load<uint16_t>(&icmp);
  icmp.type = reply_type;
  update_checksum(icmp.checksum, before, load<uint16_t>(&icmp));
}

bool answer4(Packet& packet) noexcept {
  auto* icmp = packet.header<IcmpHeader>(packet.l4_offset);
  if (packet.l4_protocol != kProtoIcmp4 || icmp->type != kIcmp4Echo || icmp->code != 0)
    return false;
  answer_echo(*icmp, kIcmp4EchoReply);
  auto* ip = packet.header<Ip4Header>(packet.l3_offset);
  std::swap(ip->source, ip->destination);
  ip->ttl = kGeneratedTtl;
  ip->checksum = {};
  ip->checksum.set_wire(header_checksum(*ip));
  return true;
}

bool answer6(Packet& packet) noexcept {
  auto* icmp = packet.header<IcmpHeader>(packet.l4_offset);
  if (packet.l4_protocol != kProtoIcmp6 || icmp->type != kIcmp6Echo || icmp->code != 0)
    return false;
  auto* ip = packet.header<Ip6Header>(packet.l3_offset);
  // Extension headers steer the request; an answer must not repeat them.
  if (packet.l4_offset != packet.l3_offset + sizeof *ip) return false;
  answer_echo(*icmp, kIcmp6EchoReply);
  std::swap(ip->source, ip->destination);
  ip->hop_limit = kGeneratedTtl;
  return true;
}

}  // namespace

Next Local::classify(Packet& packet, StageContext&) noexcept {
  // A generated packet that comes here would be answered in circles.
  if (packet.generated || packet.fragment) return drop(packet, Drop::local_ignored);
  if (packet.l4_protocol == kProtoTcp || packet.l4_protocol == kProtoUdp) {
    return reject(packet, Drop::local_ignored, kPortUnreachable);
  }
  const bool answered = packet.family == Family::ip4 ? answer4(packet) : answer6(packet);
  if (!answered) return drop(packet, Drop::local_ignored);
  packet.generated = true;
  return Next::route;
}

}  // namespace weir::dataplane
