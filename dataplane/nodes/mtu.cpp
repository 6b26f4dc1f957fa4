#include "dataplane/nodes/mtu.h"

#include "dataplane/nodes/rewrite.h"
#include "dataplane/tables/service_table.h"

namespace weir::dataplane {

Next Mtu::longer(Packet& packet, uint16_t mtu) noexcept {
  const auto* ip = packet.header<Ip4Header>(packet.l3_offset);
  const bool may_cut =
      packet.family == Family::ip4 && (ip->fragment.host() & kIp4DontFragment) == 0;
  if (packet.offload.gso != Gso::none) {
    const auto* tcp = packet.header<TcpHeader>(packet.l4_offset);
    const uint32_t headers = packet.l4_offset - packet.l3_offset + (tcp->data_offset >> 4) * 4U;
    if (headers + packet.offload.segment_size <= mtu) return Next::tx;
    if (!may_cut || headers >= mtu) return too_big(packet, mtu);
    // The super-frame is cut anyway: smaller segments need no fragments.
    packet.offload.segment_size = static_cast<uint16_t>(mtu - headers);
    return Next::tx;
  }
  if (!may_cut) return too_big(packet, mtu);
  packet.tx_mtu = mtu;
  return Next::tx;
}

// Most pass at once: what has its connection's addresses already, and all while nothing is to be
// masqueraded.
Next Mtu::crossing(const Packet& packet, const StageContext& context) noexcept {
  const bool passes = packet.translated || packet.generated || !context.services->masquerades();
  return passes ? Next::tx : Next::masquerade;
}

// The error quotes the packet as its sender sent it, so the hop is taken back.
Next Mtu::too_big(Packet& packet, uint16_t mtu) noexcept {
  if (!packet.generated) {
    if (packet.family == Family::ip4) {
      change_ttl(*packet.header<Ip4Header>(packet.l3_offset), 1);
    } else {
      ++packet.header<Ip6Header>(packet.l3_offset)->hop_limit;
    }
  }
  return reject(
      packet, Drop::mtu_too_big,
      {.type4 = kIcmp4Unreachable, .code4 = 4, .type6 = kIcmp6TooBig, .code6 = 0, .mtu = mtu});
}

}  // namespace weir::dataplane
