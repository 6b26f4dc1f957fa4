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

// For a node whose store is lost: removes the interface that some store's host port made
// under this name, whatever its key. Leaves every other program's alone.
Status remove_orphaned_link(const std::string& ifname);

}  // namespace weir::control
