// Masquerade of what pods send to networks outside the cluster: the node's kernel, which
// these packets reach through the host port, gives them the address of the interface they
// leave by. Its connection tracking turns replies, echo replies and ICMP errors back.
#pragma once

#include <string>
#include <vector>

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

// The chain for nftables' table inet weir; empty when no family is covered. `interface`: the
// host port's, where packets for pods go.
std::string masquerade_chain(const Masquerade& masquerade, const std::string& interface);

}  // namespace weir::control
