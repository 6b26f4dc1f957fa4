// Where services come from: the operator's objects in the store, a directory of files, and
// pods that carry labels. Each fills the catalog and may be read again.
#pragma once

#include "cni/error.h"
#include "control/controller.h"

namespace weir::control {

// The store's objects, read once for load_services() and Registry::load(); an error is
// reported and leaves none: what other sources have is served all the same.
std::vector<StoredObject> read_stored(Controller& controller);

// All of them but registrations, before the first replay. What cannot be read is reported and
// left out.
void load_services(Controller& controller, const std::vector<StoredObject>& stored);

// services.directory again, in the order of names. On an error nothing changes.
cni::Outcome<size_t> reload_directory(Controller& controller);

// This node's name, addresses and networks; called again as addresses come and go.
NodeFacts read_node_facts(const Controller& controller);

// An attachment that is ready; without labels and host ports it takes no part.
void pod_attached(Controller& controller, const Attachment& row);
void pod_detached(Controller& controller, uint64_t attachment);

}  // namespace weir::control
