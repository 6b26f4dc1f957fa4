// Answers ARP requests for the gateway's IPv4 address with kGatewayMac, and for an uplink's
// with its MAC, back to the port they came from (RFC 826, RFC 5227). Nothing is learned here:
// pods' neighbours come from leases; what an uplink's say of themselves goes to the main thread.
#pragma once

#include "dataplane/core/headers.h"
#include "dataplane/core/stage.h"

namespace weir::dataplane {

struct Arp {
  static constexpr Next kNext = Next::arp;
  static constexpr Next kUsual = Next::tx;
  static Next classify(Packet& packet, StageContext& context) noexcept;
};

}  // namespace weir::dataplane
