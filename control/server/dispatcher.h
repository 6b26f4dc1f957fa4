// From a request's body to a response's: one place that decodes, routes and encodes.
#pragma once

#include <string>

#include "control/controller.h"

namespace weir::control {

// {"method", "params"} -> {"result"} or {"error": {code, msg, details}}. Never throws;
// whatever the body holds gets an answer.
Task<std::string> dispatch(Controller& controller, std::string body);

}  // namespace weir::control
