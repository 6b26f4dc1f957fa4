// The node's routes, of all sources. For one prefix the operator's (weirctl) comes first, then
// weir.json's, the kernel's, and what the node's own addresses ask for.
#pragma once

#include "control/controller.h"

namespace weir::control {

// Held while a route goes to the dataplane by the store's or the kernel's word.
inline constexpr char kRouteLock[] = "routes";

// All of them, for a replay.
Result<std::vector<api::Route>> wanted_routes(const Controller& controller);

struct RouteChanges {
  std::vector<api::Route> set;
  std::vector<api::Route> gone;  // prefixes alone count
};
// What the dataplane is to have for these prefixes; those with a route of the operator's are
// left out.
Result<RouteChanges> wanted_routes(const Controller& controller, const std::vector<IpPrefix>& prefixes);

// The one in place of an operator's route that is not there.
std::optional<api::Route> route_beneath(const Controller& controller, const IpPrefix& prefix);
api::Route api_route(const StoredRoute& route);

}  // namespace weir::control
