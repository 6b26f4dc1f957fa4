// An attachment in the shapes that the dataplane and the kernel want.
#pragma once

#include <string>
#include <vector>

#include "cni/network_config.h"
#include "control/controller.h"
#include "control/netns/pod_link.h"
#include "control/store/store.h"
#include "dataplane/api/protocol.h"

namespace weir::control {

// The MAC of a pod's interface when none is asked for; follows from the port key.
MacAddress pod_mac(uint64_t key) noexcept;

// Whether a workload reaches such a port through a socket, not an interface in the kernel.
bool on_socket(api::PortKind kind) noexcept;

// <pods>/<container id>-<ifname>.sock, or <pods>/<key>.sock where that would not fit
// into a socket address.
std::string pod_socket(const std::string& pods_dir, const Attachment& row);

// The network's default routes, or those that the configuration's "ipam" gives instead.
// Families without a lease are left out. Code 6 or 7.
std::vector<cni::RouteConfig> default_routes();
cni::Outcome<std::vector<cni::RouteConfig>> pod_routes(const cni::NetworkConfig& config);
std::vector<cni::RouteConfig> for_leases(const std::vector<cni::RouteConfig>& routes,
                                         const std::vector<Lease>& leases);

// First gateway of a family among the leases; none when there is none.
IpAddress gateway_of(const std::vector<Lease>& leases, Family family) noexcept;

// `config` is the attachment's own, for what a memif or vhost-user port may set. Code 6 or 7.
cni::Outcome<api::PortConfig> port_config(const Controller& controller, const Attachment& row,
                                          const std::vector<Lease>& leases,
                                          const cni::NetworkConfig& config);

// The policers that the "bandwidth" capability asks for; nothing: all zero. Code 7 for a
// rate without burst or the reverse, as the reference plugin has it.
cni::Outcome<api::PortLimits> port_limits(const cni::NetworkConfig& config);

PodLink pod_link(const Attachment& row, const std::vector<Lease>& leases,
                 const std::vector<cni::RouteConfig>& routes);

// The link's identity alone: enough to find, open or remove it.
PodLink pod_link(const Attachment& row);

}  // namespace weir::control
