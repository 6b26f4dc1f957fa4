// The host port's interface in the node's own network namespace.
#pragma once

#include <vector>

#include "control/netns/pod_link.h"

namespace weir::control {

struct HostLink {
  PodLink link;                        // its `routes` are not used
  std::vector<IpPrefix> pod_prefixes;  // routed to the interface, from its own address
};

// Makes the interface if it is not there and sets addresses and routes; removes those
// of an earlier configuration. Returns the open tap when it was made, an empty Fd when
// it was there. exists when another program has the name or one of the routes.
Result<api::Fd> ensure_host_link(const HostLink& host);

}  // namespace weir::control
