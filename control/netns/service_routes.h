// Services' addresses in the node's own network namespace: host routes over the host
// port's interface, so that the node's processes, and packets that the kernel forwards,
// reach them through the dataplane.
#pragma once

#include <set>

#include "control/netns/host_link.h"

namespace weir::control {

// A route to one address, from the services'; those of pods are to whole ranges.
bool is_service_route(const LinkRoute& route);

struct ServiceRoutes {
  size_t added = 0;
  size_t removed = 0;
  std::vector<IpAddress> elsewhere;  // the node routes them another way, and keeps doing so
};

// Makes the routes those to `wanted`; without a gateway of its family an address is left out.
Result<ServiceRoutes> sync_service_routes(const HostLink& host, const std::set<IpAddress>& wanted);

}  // namespace weir::control
