// Masquerade by uplinks on the wire: one more set of networks (PrefixMember, dataplane/api/service.h)
// whose number has a meaning.
#pragma once

#include <cstdint>

namespace weir::api {

// Networks outside that see pods' own addresses. What pods send by an uplink to others leaves
// with the uplink's address. Without the set, or when it is empty, nothing does.
inline constexpr uint64_t kKeptSet = 2;

}  // namespace weir::api
