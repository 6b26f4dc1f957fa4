// Turns a rejected packet into the ICMP error that tells its sender why, in place, and
// sends that through route as a new packet.
// Sources: RFC 792, RFC 1122 3.2.2, RFC 1812 4.3.2, RFC 1191, RFC 4443 2.4, RFC 8201.
#pragma once

#include "dataplane/core/headers.h"
#include "dataplane/core/stage.h"

namespace weir::dataplane {

inline constexpr uint32_t kMaxIcmp4Error = 576;   // L3 bytes, RFC 1812 4.3.2.3
inline constexpr uint32_t kMaxIcmp6Error = 1280;  // L3 bytes, RFC 4443 2.4 c

struct IcmpError {
  static constexpr Next kNext = Next::icmp_error;
  static constexpr Next kUsual = Next::route;
  // Next::route: packet.drop still says why the original went; drop: says why there is
  // no error about it.
  static Next classify(Packet& packet, StageContext& context) noexcept;
};

}  // namespace weir::dataplane
