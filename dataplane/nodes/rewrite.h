// One hop: TTL or hop limit down by one, Ethernet addresses of the next hop
// (RFC 1812 5.3.1, RFC 8200 3). Packets that weir made are not counted down.
#pragma once

#include "dataplane/core/checksum.h"
#include "dataplane/core/headers.h"
#include "dataplane/core/stage.h"

namespace weir::dataplane {

struct Rewrite {
  static constexpr Next kNext = Next::rewrite;
  static constexpr Next kUsual = Next::mtu;
  static Next classify(Packet& packet, StageContext& context) noexcept;

 private:
  static Next expired(Packet& packet) noexcept;
};

// One hop less: RFC 1624 for a checksummed word whose low byte goes down by one.
inline void decrement_ttl(Ip4Header& ip) noexcept {
  --ip.ttl;
  const uint32_t sum = ip.checksum.wire() + 1U;
  ip.checksum.set_wire(static_cast<uint16_t>(sum + (sum >= 0xffff)));
}

// Changes an IPv4 TTL by `step`; the TTL is the low byte of its checksummed word.
inline void change_ttl(Ip4Header& ip, int step) noexcept {
  const auto before = load<uint16_t>(&ip.ttl);
  ip.ttl = static_cast<uint8_t>(ip.ttl + step);
  update_checksum(ip.checksum, before, load<uint16_t>(&ip.ttl));
}

inline Next Rewrite::classify(Packet& packet, StageContext&) noexcept {
  if (!packet.generated) {
    if (packet.family == Family::ip4) {
      auto& ip = packet.l3<Ip4Header>();
      if (ip.ttl <= 1) [[unlikely]]
        return expired(packet);
      decrement_ttl(ip);
    } else {
      auto& ip = packet.l3<Ip6Header>();
      if (ip.hop_limit <= 1) [[unlikely]]
        return expired(packet);
      --ip.hop_limit;
    }
  }
  // Destination, the next hop's, and source, in two stores.
  std::byte* const ethernet = packet.data();
  store(ethernet, (packet.adjacency & 0xffff'ffff'ffff) | kGatewayMacBits << 48);
  store(ethernet + 8, static_cast<uint32_t>(kGatewayMacBits >> 16));
  return Next::mtu;
}

}  // namespace weir::dataplane
