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
  // The same without the port's limits, so that nothing is counted.
  static Next check(Packet& packet, const PortInfo& port) noexcept;
  // Where a packet goes that fits; those that cross an uplink may need a masquerade.
  static Next leave(const Packet& packet, const PortInfo& port,
                    const StageContext& context) noexcept;

 private:
  static Next longer(Packet& packet, uint16_t mtu) noexcept;
  static Next crossing(const Packet& packet, const StageContext& context) noexcept;
  static Next too_big(Packet& packet, uint16_t mtu) noexcept;
};

inline Next Mtu::classify(Packet& packet, StageContext& context) noexcept {
  const PortInfo* port = context.port(packet.out_port);
  if (port == nullptr) return drop(packet, Drop::tx_port_gone);
  if (const Next next = check(packet, *port); next != Next::tx) [[unlikely]]
    return next;
  if (port->policers != nullptr) [[unlikely]] {
    if (!port->policers->tx.take(context.now, packet.length)) {
      return drop(packet, Drop::police_to_pod);
    }
  }
  return leave(packet, *port, context);
}

inline Next Mtu::leave(const Packet& packet, const PortInfo& port,
                       const StageContext& context) noexcept {
  if (port.kind == api::PortKind::uplink || packet.from_uplink) [[unlikely]]
    return crossing(packet, context);
  return Next::tx;
}

inline Next Mtu::check(Packet& packet, const PortInfo& port) noexcept {
  if (packet.length - packet.l3_offset > port.mtu) [[unlikely]]
    return longer(packet, port.mtu);
  return Next::tx;
}

}  // namespace weir::dataplane
