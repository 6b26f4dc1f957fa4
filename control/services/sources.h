// Where services come from: the operator's objects in the store, a directory of files, and
// pods that carry labels. Each fills the catalog and may be read again.
#pragma once

#include "cni/error.h"
#include "control/controller.h"

namespace weir::control {

// All of them, before the first replay. What cannot be read is reported and left out.
void load_services(Controller& controller);

// services.directory again, in the order of names. On an error nothing changes.
cni::Outcome<size_t> reload_directory(Controller& controller);

// This node's name, addresses and networks; called again as addresses come and go.
NodeFacts read_node_facts(const Controller& controller);

// An attachment that is ready; without labels and host ports it takes no part.
void pod_attached(Controller& controller, const Attachment& row);
void pod_detached(Controller& controller, uint64_t attachment);

}  // namespace weir::control
