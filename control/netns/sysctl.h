// Per-interface IPv6 settings in the calling thread's network namespace.
#pragma once

#include <string>

#include "dataplane/api/error.h"
#include "dataplane/api/net.h"

namespace weir::control {

// No router advertisements, no autoconfigured addresses: a port's addresses are its lease.
// Success where the kernel has no IPv6.
Status ignore_router_advertisements(const std::string& ifname);

// Runtimes switch IPv6 off in new namespaces. unsupported when the kernel has none.
Status enable_ip6(const std::string& ifname);

// Whether the namespace forwards packets between its interfaces.
bool forwards(Family family);
// IPv4 alone: with IPv6 it would also end router advertisements' effect on the node.
Status enable_forwarding4();
// The kernel no longer forwards what comes in through the interface, both families. Success
// where it has no IPv6, and while there is no such interface.
Status stop_forwarding_from(const std::string& ifname);

}  // namespace weir::control
