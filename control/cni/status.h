// The STATUS verb.
#pragma once

#include "cni/request.h"
#include "control/controller.h"

namespace weir::control {

// Whether an ADD would work now. Waits for nothing but a delegated IPAM plugin, for that
// a second at most. Code 50 when not, or the plugin's 51.
Task<cni::Outcome<cni::Json>> network_status(Controller& controller, cni::Request request);

}  // namespace weir::control
