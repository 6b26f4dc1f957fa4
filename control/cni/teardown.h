// Takes an attachment apart: port, interface, addresses, row. One way for a DEL, for an
// ADD that failed half way, and for what a restart finds unfinished.
#pragma once

#include "cni/request.h"
#include "control/controller.h"

namespace weir::control {

// Whatever is missing already, or cannot be reached now, is passed over: the dataplane
// sweeps a port at its next replay, and IPAM keeps what the disk refused. An interface
// that cannot be removed keeps its row (deleting) and with it its addresses, so that no
// second pod gets them; so does a delegated IPAM plugin that fails. finish_teardowns()
// tries again. The caller holds the attachment's lock.
// `request`: the DEL that asks for it, which the plugin then gets to see; nullptr: nobody
// asks, it sees what its ADD saw.
Task<> teardown(Controller& controller, Attachment row, const cni::Request* request = nullptr);

// What earlier teardowns had to leave.
Task<> finish_teardowns(Controller& controller);

// The name of an attachment's lock.
std::string lock_name(const std::string& network, const std::string& container_id,
                      const std::string& ifname);

}  // namespace weir::control
