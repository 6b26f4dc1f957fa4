// The "runtimeConfig" object: what a runtime adds for declared capabilities.
#pragma once

#include "cni/network_config.h"

namespace weir::cni {

// Code 6 for wrong types, 7 for wrong values. Unknown capabilities are ignored.
Outcome<RuntimeConfig> parse_runtime_config(const Json& object);

}  // namespace weir::cni
