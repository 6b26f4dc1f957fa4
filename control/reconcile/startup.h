// Brings the store in step with what is alive, before requests are served.
#pragma once

#include "control/controller.h"

namespace weir::control {

// Spooled DELs are carried out; attachments whose ADD or DEL was cut off, whose
// namespace is gone, or which are from before the last boot, are removed.
Task<Status> reconcile_store(Controller& controller);

// Ports that a replay could not set: tried again until they are set or gone.
Task<> retry_ports(Controller& controller, std::vector<ReplayReport::Failure> failures);

}  // namespace weir::control
