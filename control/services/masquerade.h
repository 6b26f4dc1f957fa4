// Masquerade of what pods send to networks outside the cluster. What reaches the node's kernel
// through the host port gets the address of the interface it leaves by there, whose connection
// tracking turns replies, echo replies and ICMP errors back. What leaves by an uplink the
// dataplane treats the same way.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"
#include "dataplane/api/net.h"

namespace weir::control {

struct Masquerade {
  std::vector<IpPrefix> pods;  // whose packets it is about
  // Destinations that see pods' own addresses. A family that none is of is left alone, as
  // is one with a prefix of length 0.
  std::vector<IpPrefix> kept;

  auto operator<=>(const Masquerade&) const = default;
  bool covers(Family family) const;
};

// Other nodes' pods know this one's as they are, whatever the list says.
Masquerade masquerade_of(const config::Config& config);

// The dataplane's set (api::kKeptSet): empty when no family is covered, all of a family that
// alone is not.
std::vector<IpPrefix> kept_by_uplinks(const Masquerade& masquerade);

// The chain for nftables' table inet weir; empty when no family is covered. `interface`: the
// host port's, where packets for pods go.
std::string masquerade_chain(const Masquerade& masquerade, const std::string& interface);

}  // namespace weir::control
