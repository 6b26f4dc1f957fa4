#include "dataplane/nodes/rewrite.h"

namespace weir::dataplane {

Next Rewrite::expired(Packet& packet) noexcept {
  return reject(packet, Drop::rewrite_ttl_expired,
                {.type4 = kIcmp4TimeExceeded, .code4 = 0, .type6 = kIcmp6TimeExceeded, .code6 = 0});
}

}  // namespace weir::dataplane
