// The STATUS verb.
#pragma once

#include "cni/request.h"
#include "control/controller.h"

namespace weir::control {

// Whether an ADD would work now. Waits for nothing. Code 50 when not.
cni::Outcome<cni::Json> network_status(Controller& controller, const cni::Request& request);

}  // namespace weir::control
