// The ADD verb.
#pragma once

#include "cni/request.h"
#include "control/controller.h"

namespace weir::control {

// The CNI result to print. On failure nothing of the attachment is left.
Task<cni::Outcome<cni::Json>> add_attachment(Controller& controller, cni::Request request);

}  // namespace weir::control
