// What the dataplane should have, out of the store.
#pragma once

#include "control/controller.h"

namespace weir::control {

// For a replay, whole as of now: the host port, every finished attachment and those that
// an ADD in flight has set, and all routes. unavailable: the kernel's are not known yet.
Result<ReplayPlan> desired_state(Controller& controller);

// One attachment's port as a replay sets it.
Result<ReplayPort> replay_port(const Controller& controller, const Attachment& row);

}  // namespace weir::control
