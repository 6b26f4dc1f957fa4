// DELs that came while weir-control was away.
#pragma once

#include "control/controller.h"

namespace weir::control {

// Carries out and removes every spooled DEL. Cheap when there is none. The caller holds
// no attachment's lock.
Task<> drain_spool(Controller& controller);

}  // namespace weir::control
