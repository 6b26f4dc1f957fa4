// Answers neighbour solicitations for the gateway's IPv6 addresses with kGatewayMac,
// back to the port they came from (RFC 4861 7.2). Learns nothing, advertises nothing:
// pods get addresses and routes from their lease.
#pragma once

#include "dataplane/core/headers.h"
#include "dataplane/core/stage.h"

namespace weir::dataplane {

struct Nd {
  static constexpr Next kNext = Next::nd;
  static constexpr Next kUsual = Next::tx;
  static Next classify(Packet& packet, StageContext& context) noexcept;
};

}  // namespace weir::dataplane
