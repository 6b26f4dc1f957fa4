#include "control/cni/del.h"

#include "cni/network_config.h"
#include "control/cni/cni_error.h"
#include "control/cni/teardown.h"

namespace weir::control {

Task<cni::Outcome<cni::Json>> delete_attachment(Controller& controller, cni::Request request) {
  const auto config = cni::parse_network_config(request.config, cni::Command::del);
  if (!config) co_return config.error();
  const cni::Environment& environment = request.environment;
  const auto lock = co_await controller.locks.lock(
      lock_name(config->name, environment.container_id, environment.ifname));
  const Result<std::optional<Attachment>> row =
      controller.store.find_attachment(config->name, environment.container_id, environment.ifname);
  if (!row) co_return cni_error(row.error());
  if (*row) co_await teardown(controller, **row);
  co_return cni::Json(nullptr);
}

}  // namespace weir::control
