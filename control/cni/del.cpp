#include "control/cni/del.h"

#include <spdlog/spdlog.h>

#include "cni/network_config.h"
#include "control/cni/cni_error.h"
#include "control/cni/delegate.h"
#include "control/cni/teardown.h"

namespace weir::control {

namespace {

// Of an attachment that is not known (any more): the plugin may still know it.
Task<> forward(Controller& controller, const cni::NetworkConfig& config,
               const cni::Request& request) {
  const auto done =
      co_await run_delegate(controller, delegate_call(cni::Command::del, config, request));
  if (!done) spdlog::warn("DEL {}: {}", request.environment.container_id, done.error().msg);
}

}  // namespace

Task<cni::Outcome<cni::Json>> delete_attachment(Controller& controller, cni::Request request) {
  const auto config = cni::parse_network_config(request.config, cni::Command::del);
  if (!config) co_return config.error();
  const cni::Environment& environment = request.environment;
  const auto lock = co_await controller.locks.lock(
      lock_name(config->name, environment.container_id, environment.ifname));
  const Result<std::optional<Attachment>> row =
      controller.store.find_attachment(config->name, environment.container_id, environment.ifname);
  if (!row) co_return cni_error(row.error());
  if (*row) {
    co_await teardown(controller, **row, &request);
  } else if (cni::delegates_ipam(*config)) {
    co_await forward(controller, *config, request);
  }
  co_return cni::Json(nullptr);
}

}  // namespace weir::control
