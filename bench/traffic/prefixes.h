// Random prefixes and addresses inside them, the same in every process that is given the
// same numbers: one programs the routes, another sends to them.
// IPv4 under 32.0.0.0/3, IPv6 under 2a00::/8: no lease of a test node lies in there.
#pragma once

#include <cstdint>
#include <vector>

#include "dataplane/api/net.h"

namespace weir::bench {

// `count` different prefixes, lengths mixed as in an Internet table (IPv4: 60 % /24, 2 %
// host routes; IPv6: /29 to /64). One alone is the whole range.
std::vector<IpPrefix> random_prefixes(Family family, uint32_t count);
// `count` addresses, each inside a randomly chosen one of the prefixes.
std::vector<IpAddress> random_addresses(const std::vector<IpPrefix>& prefixes, uint32_t count);

}  // namespace weir::bench
