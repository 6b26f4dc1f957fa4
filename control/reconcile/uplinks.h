// The uplinks of weir.json, as the dataplane is told of them.
#pragma once

#include <vector>

#include "config/config.h"
#include "dataplane/api/protocol.h"

namespace weir::control {

std::vector<api::UplinkConfig> uplinks(const config::NetworkConfig& network);
api::Route configured_route(const config::RouteConfig& route);

}  // namespace weir::control
