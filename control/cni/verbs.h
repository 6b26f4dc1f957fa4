// The CNI verbs by their methods.
#pragma once

#include "cni/request.h"
#include "control/controller.h"

namespace weir::control {

// The object for the plugin's stdout, null for verbs that print nothing.
Task<cni::Outcome<cni::Json>> run_verb(Controller& controller, cni::Command command,
                                       cni::Json params);

}  // namespace weir::control
