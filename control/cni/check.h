// The CHECK verb.
#pragma once

#include "cni/request.h"
#include "control/controller.h"

namespace weir::control {

// Compares store, dataplane and namespace with what ADD made. Code 3 for an attachment
// that is not known, 103 for one that differs.
Task<cni::Outcome<cni::Json>> check_attachment(Controller& controller, cni::Request request);

}  // namespace weir::control
