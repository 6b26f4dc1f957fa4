// The uplinks of weir.json, as the dataplane is told of them, and the kernel's part where a
// device is a kernel interface that the node keeps.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "dataplane/api/protocol.h"

namespace weir::control {

// Those that may be opened; for the others the log says why not.
std::vector<api::UplinkConfig> uplinks(const config::NetworkConfig& network);
// The one with this key; nullopt: it is none's, or may not be opened.
std::optional<api::UplinkConfig> find_uplink(const config::NetworkConfig& network, uint64_t key);
// The interface of a driver that works on one (net_af_packet, net_af_xdp); empty: no such driver.
std::string kernel_interface(const std::string& devargs);
// A frame on a kernel interface reaches weir and the kernel: the kernel must not forward it too.
// Anything that sets net.ipv4.ip_forward undoes this, so call it now and then.
void keep_kernel_from_forwarding(const config::NetworkConfig& network);
api::Route configured_route(const config::RouteConfig& route);

}  // namespace weir::control
