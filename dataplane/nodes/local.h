// Packets for the gateway itself: answers echo requests in place and refuses the rest
// (RFC 792, RFC 1122 3.2.2.6, RFC 4443 4.2).
#pragma once

#include "dataplane/core/headers.h"
#include "dataplane/core/stage.h"

namespace weir::dataplane {

inline constexpr uint8_t kGeneratedTtl = 64;  // RFC 1340: of packets that weir makes

struct Local {
  static constexpr Next kNext = Next::local;
  static constexpr Next kUsual = Next::route;
  static Next classify(Packet& packet, StageContext& context) noexcept;
};

}  // namespace weir::dataplane
