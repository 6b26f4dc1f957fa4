// Per-interface IPv6 settings in the calling thread's network namespace.
#pragma once

#include <string>

#include "dataplane/api/error.h"

namespace weir::control {

// No router advertisements, no autoconfigured addresses: a port's addresses are its lease.
// Success where the kernel has no IPv6.
Status ignore_router_advertisements(const std::string& ifname);

// Runtimes switch IPv6 off in new namespaces. unsupported when the kernel has none.
Status enable_ip6(const std::string& ifname);

}  // namespace weir::control
