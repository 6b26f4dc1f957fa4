#include "control/cni/status.h"

#include "cni/network_config.h"
#include "control/cni/add_plan.h"
#include "control/cni/admission.h"
#include "control/cni/delegate.h"
#include "control/cni/shared_ipam.h"

namespace weir::control {

namespace {

using Failure = std::optional<cni::Error>;

cni::Error unavailable(std::string msg, std::string details) {
  return {cni::Code::unavailable, std::move(msg), std::move(details)};
}

// What a host-local directory says, without its lock: whoever holds that must not hold up
// STATUS. Not there yet: nobody has anything.
Task<Elsewhere> look_elsewhere(Controller& controller, const cni::NetworkConfig& config) {
  const auto directory = shared_directory(config);
  Elsewhere others;
  if (!directory || directory->empty()) co_return others;
  controller.shared[config.name] = *directory;
  const auto work = [&directory] { return HostLocalDir::list(*directory); };
  const auto entries = co_await controller.delegates.run(work);
  if (!entries) co_return others;
  for (const HostLocalDir::Entry& entry : *entries) others.taken.push_back(entry.address);
  co_return others;
}

Task<Failure> pool_status(Controller& controller, const cni::NetworkConfig& config) {
  const auto ranges = ranges_of(controller, config);
  if (!ranges) co_return ranges.error();
  const Elsewhere others = co_await look_elsewhere(controller, config);
  const Result<bool> free = controller.ipam.can_allocate(*ranges, others);
  if (!free) co_return unavailable("the store fails", free.error().text);
  if (*free) co_return std::nullopt;
  co_return unavailable("no address is free in network " + config.name,
                        "remove pods, or give it larger ranges");
}

Task<Failure> delegate_status(Controller& controller, const cni::NetworkConfig& config,
                              const cni::Request& request) {
  const auto done =
      co_await run_delegate(controller, delegate_call(cni::Command::status, config, request));
  if (done) co_return std::nullopt;
  const cni::Error& error = done.error();
  const bool says_status =
      error.code == cni::Code::unavailable || error.code == cni::Code::limited_connectivity;
  co_return says_status ? error : unavailable(error.msg, error.details);
}

}  // namespace

Task<cni::Outcome<cni::Json>> network_status(Controller& controller, cni::Request request) {
  const auto config = cni::parse_network_config(request.config, cni::Command::status);
  if (!config) co_return config.error();
  const SessionView dataplane = controller.dataplane.view();
  if (!dataplane.ready) co_return unavailable("the dataplane is not ready", dataplane.reason);
  Failure failure = over_budget(controller, cni::Code::unavailable);
  if (failure) co_return *failure;
  if (cni::delegates_ipam(*config)) {
    failure = co_await delegate_status(controller, *config, request);
  } else {
    failure = co_await pool_status(controller, *config);
  }
  if (failure) co_return *failure;
  co_return cni::Json(nullptr);
}

}  // namespace weir::control
