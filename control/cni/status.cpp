#include "control/cni/status.h"

#include "cni/network_config.h"
#include "control/cni/add_plan.h"
#include "control/cni/cni_error.h"

namespace weir::control {

cni::Outcome<cni::Json> network_status(Controller& controller, const cni::Request& request) {
  const auto config = cni::parse_network_config(request.config, cni::Command::status);
  if (!config) return config.error();
  const SessionView dataplane = controller.dataplane.view();
  if (!dataplane.ready) {
    return cni::Error{cni::Code::unavailable, "the dataplane is not ready", dataplane.reason};
  }
  const auto ranges = ranges_of(controller, *config);
  if (!ranges) return ranges.error();
  const Result<bool> free = controller.ipam.can_allocate(*ranges);
  if (!free) return cni::Error{cni::Code::unavailable, "the store fails", free.error().text};
  if (!*free) {
    return cni::Error{cni::Code::unavailable, "no address is free in network " + config->name,
                      "remove pods, or give it larger ranges"};
  }
  return cni::Json(nullptr);
}

}  // namespace weir::control
