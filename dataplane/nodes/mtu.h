// Whether a packet fits its next hop's MTU and bandwidth: forward, fragment, or tell the sender
// (RFC 791, RFC 1191, RFC 8200 5, RFC 8201).
#pragma once

#include "dataplane/core/headers.h"
#include "dataplane/core/stage.h"

namespace weir::dataplane {

struct Mtu {
  static constexpr Next kNext = Next::mtu;
  static constexpr Next kUsual = Next::tx;
  static Next classify(Packet& packet, StageContext& context) noexcept;

 private:
  static Next longer(Packet& packet, uint16_t mtu) noexcept;
  static Next too_big(Packet& packet, uint16_t mtu) noexcept;
};

inline Next Mtu::classify(Packet& packet, StageContext& context) noexcept {
  const PortInfo* port = context.port(packet.out_port);
  if (port == nullptr) return drop(packet, Drop::tx_port_gone);
  if (packet.length - packet.l3_offset > port->mtu) [[unlikely]] {
    const Next next = longer(packet, port->mtu);
    if (next != Next::tx) return next;
  }
  if (port->policers != nullptr) [[unlikely]] {
    if (!port->policers->tx.take(context.now, packet.length)) {
      return drop(packet, Drop::police_to_pod);
    }
  }
  return Next::tx;
}

}  // namespace weir::dataplane
