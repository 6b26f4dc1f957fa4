// The GC verb.
#pragma once

#include "cni/request.h"
#include "control/controller.h"

namespace weir::control {

// Removes the network's attachments that cni.dev/valid-attachments does not list; the
// key absent removes none.
Task<cni::Outcome<cni::Json>> collect_garbage(Controller& controller, cni::Request request);

}  // namespace weir::control
