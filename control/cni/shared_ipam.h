// The built-in IPAM in step with a host-local directory ("ipam": {"dataDir": ...}, as that
// plugin has it): pods that host-local attached keep their addresses, DEL and GC free
// them, and a plugin that still runs sees weir's. See control/ipam/host_local_dir.h.
#pragma once

#include <memory>
#include <string>

#include "cni/network_config.h"
#include "control/controller.h"
#include "control/ipam/host_local_dir.h"

namespace weir::control {

// <dataDir>/<network>; empty: addresses are not shared. Code 6 or 7.
cni::Outcome<std::string> shared_directory(const cni::NetworkConfig& config);

// Waits for the lock without holding up the loop. Code 5 or 11.
Task<cni::Outcome<std::unique_ptr<HostLocalDir>>> lock_shared(Controller& controller,
                                                              std::string directory);

// Frees what the attachment has there. True: nothing is left to do.
Task<bool> release_shared(Controller& controller, const cni::NetworkConfig& config,
                          cni::AttachmentName name);

// Frees what is there of attachments that the configuration does not list as valid.
Task<Status> collect_shared(Controller& controller, const cni::NetworkConfig& config);

}  // namespace weir::control
