// The DEL verb.
#pragma once

#include "cni/request.h"
#include "control/controller.h"

namespace weir::control {

// Success whatever is missing. Errors only for a request that names no attachment.
Task<cni::Outcome<cni::Json>> delete_attachment(Controller& controller, cni::Request request);

}  // namespace weir::control
