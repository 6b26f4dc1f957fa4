// Whether the node takes one more pod.
#pragma once

#include <optional>

#include "cni/error.h"
#include "control/controller.h"

namespace weir::control {

// Why it does not, under `code` (ADD: try later; STATUS: unavailable); nullopt: it does.
std::optional<cni::Error> over_budget(Controller& controller, cni::Code code);

}  // namespace weir::control
