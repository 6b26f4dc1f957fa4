#include "control/cni/del.h"

#include <spdlog/spdlog.h>

#include "cni/network_config.h"
#include "control/cni/cni_error.h"
#include "control/cni/delegate.h"
#include "control/cni/shared_ipam.h"
#include "control/cni/teardown.h"

namespace weir::control {

namespace {

// Of an attachment that is not known (any more): a delegated plugin, or host-local before
// weir took its place, may still know it.
Task<> release_unknown(Controller& controller, const cni::NetworkConfig& config,
                       const cni::Request& request) {
  if (!cni::delegates_ipam(config)) {
    const cni::AttachmentName name{request.environment.container_id, request.environment.ifname};
    co_await release_shared(controller, config, name);
    co_return;
  }
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
  } else {
    co_await release_unknown(controller, *config, request);
  }
  co_return cni::Json(nullptr);
}

}  // namespace weir::control
