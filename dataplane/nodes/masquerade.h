// Source NAT of what pods send by an uplink to networks that do not know them, as kubenet has
// it done by the kernel behind other ports. It comes after routing: a packet's way and its MTU are
// decided, and errors about them quote what the pod sent.
// A host outside may also know a pod and send to its own address. Of such packets only datagrams
// are remembered, so that answers keep the pod's address: what answers TCP, SCTP and echoes is
// told from what opens a connection.
// Sources: RFC 4787, RFC 5382, RFC 5508 (NAT for UDP, TCP, ICMP); kubenet's non-masquerade-cidr.
#pragma once

#include "dataplane/core/stage.h"
#include "dataplane/tables/connection_table.h"

namespace weir::dataplane {

struct Masquerade {
  static constexpr Next kNext = Next::masquerade;
  static constexpr Next kUsual = Next::tx;
  static Next classify(Packet& packet, StageContext& context) noexcept;

  // Decides, and changes no table. Next::masquerade: `wanted` is to be opened; otherwise where
  // the packet goes.
  static Next choose(Packet& packet, StageContext& context, NewConnection& wanted) noexcept;

 private:
  static Next leaving(Packet& packet, const PortInfo& uplink, StageContext& context,
                      NewConnection& wanted) noexcept;
  static Next arriving(Packet& packet, const StageContext& context,
                       NewConnection& wanted) noexcept;
  static Next later_fragment(Packet& packet, StageContext& context) noexcept;
  static Next open(Packet& packet, const NewConnection& wanted, StageContext& context) noexcept;
};

}  // namespace weir::dataplane
