// Delegated IPAM: the plugin that `ipam.type` names, run as the CNI specification 1.1.0,
// section 4, says: the runtime's own stdin and environment, only CNI_COMMAND changed.
// docs/adr/0005-delegated-ipam.md says why weir-control runs it and not the shim.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cni/network_config.h"
#include "cni/request.h"
#include "control/controller.h"

namespace weir::control {

// One run of it, complete in itself so that another thread may do it.
struct DelegateCall {
  cni::Command command = cni::Command::add;
  std::string type;
  std::string config;                    // stdin
  std::vector<std::string> environment;  // NAME=value, of the request
};

DelegateCall delegate_call(cni::Command command, const cni::NetworkConfig& config,
                           const cni::Request& request);
// DEL of an attachment whose request is long gone; nullopt: its addresses are weir's own.
std::optional<DelegateCall> delegate_del_call(const Attachment& row);

// As the store keeps it, for the call above.
std::string pack_environment(const cni::Environment& environment);

// Code 7 when CNI_PATH has no such program.
std::optional<cni::Error> check_delegate(const DelegateCall& call);

// What it printed. Errors: its own code and message; 11 when it hangs; 7 when it is not
// found; 100 when it crashes or fails without an error object.
Task<cni::Outcome<std::string>> run_delegate(Controller& controller, DelegateCall call);

// The addresses and routes it gave, as leases of the attachment, positions in its order.
struct Delegated {
  std::vector<Lease> leases;
  std::vector<cni::RouteConfig> routes;  // none: weir's default routes
  cni::Dns dns;
};
// From ADD's output, a result of any version. Code 6 or 7.
cni::Outcome<Delegated> read_delegated(const std::string& output, const Attachment& row);

}  // namespace weir::control
