// What the dataplane should have, out of the store.
#pragma once

#include "control/controller.h"

namespace weir::control {

// For a replay, whole as of now: the host port, every finished attachment and those that
// an ADD in flight has set, the default routes and the operator's.
Result<ReplayPlan> desired_state(Controller& controller);

// One attachment's port as a replay sets it.
Result<ReplayPort> replay_port(const Controller& controller, const Attachment& row);

// The built-in default route of the family, to the host port; nullopt when there is none.
std::optional<api::Route> default_route(const Controller& controller, Family family);
// To the node's addresses that the dataplane does not know from the host port.
std::vector<api::Route> node_routes(const Controller& controller);
api::Route api_route(const StoredRoute& route);

}  // namespace weir::control
