#include "control/cni/gc.h"

#include <algorithm>

#include "cni/network_config.h"
#include "control/cni/cni_error.h"
#include "control/cni/delegate.h"
#include "control/cni/shared_ipam.h"
#include "control/cni/teardown.h"

namespace weir::control {

namespace {

bool is_valid(const cni::NetworkConfig& config, const Attachment& row) {
  const cni::AttachmentName name{row.container_id, row.ifname};
  return std::ranges::find(*config.valid_attachments, name) != config.valid_attachments->end();
}

Task<> remove_row(Controller& controller, Attachment row) {
  const auto lock =
      co_await controller.locks.lock(lock_name(row.network, row.container_id, row.ifname));
  // An ADD or DEL that held the lock may have changed it.
  const Result<std::optional<Attachment>> now = controller.store.find_attachment(row.id);
  if (now && *now) co_await teardown(controller, **now);
}

Task<Status> remove_invalid(Controller& controller, const cni::NetworkConfig& config) {
  const Result<std::vector<Attachment>> rows = controller.store.attachments();
  if (!rows) co_return rows.error();
  for (const Attachment& row : *rows) {
    const bool ours = row.network == config.name && row.container_id != kHostContainerId;
    // One that is being added is a runtime's newest, which its list may not know yet.
    if (!ours || row.state == AttachmentState::adding || is_valid(config, row)) continue;
    co_await remove_row(controller, row);
  }
  co_return Status{};
}

}  // namespace

Task<cni::Outcome<cni::Json>> collect_garbage(Controller& controller, cni::Request request) {
  const auto config = cni::parse_network_config(request.config, cni::Command::gc);
  if (!config) co_return config.error();
  if (config->valid_attachments) {
    const Status removed = co_await remove_invalid(controller, *config);
    if (!removed) co_return cni_error(removed.error());
    const Status collected = co_await collect_shared(controller, *config);
    if (!collected) co_return cni_error(collected.error());
  }
  if (cni::delegates_ipam(*config)) {
    const auto done =
        co_await run_delegate(controller, delegate_call(cni::Command::gc, *config, request));
    if (!done) co_return done.error();
  }
  co_return cni::Json(nullptr);
}

}  // namespace weir::control
