// The node's own port: how the node reaches its pods and they reach it.
#pragma once

#include "control/controller.h"

namespace weir::control {

// Leases the node's addresses and makes its interface with them. Repeatable.
Status ensure_host_port(Controller& controller);

// The host port as a replay sets it; makes the interface anew when somebody removed it.
ReplayPort host_replay_port(const Controller& controller);

}  // namespace weir::control
