#include "control/reconcile/startup.h"

#include <spdlog/spdlog.h>

#include "cni/fault/fault.h"
#include "control/cni/teardown.h"
#include "control/reconcile/desired_state.h"
#include "control/reconcile/records.h"
#include "control/reconcile/spool.h"
#include "control/reconcile/uplinks.h"

namespace weir::control {

namespace {

constexpr std::chrono::seconds kRetryPause(1);
constexpr int kPortRetries = 60;

// Why the row cannot be kept; empty = it can.
std::string why_stale(const Attachment& row, bool rebooted) {
  if (row.state == AttachmentState::adding) return "its ADD was cut off";
  if (row.state == AttachmentState::deleting) return "its DEL was cut off";
  if (rebooted) return "the node was restarted";
  if (!namespace_exists(row.netns)) return "its network namespace is gone";
  return "";
}

Task<> remove_stale(Controller& controller, bool rebooted, const std::vector<Attachment>& rows) {
  for (const Attachment& row : rows) {
    if (row.container_id == kHostContainerId) continue;
    const std::string why = why_stale(row, rebooted);
    if (why.empty()) continue;
    spdlog::info("{} {} is removed: {}", row.container_id, row.ifname, why);
    co_await teardown(controller, row);
  }
}

}  // namespace

Task<Status> reconcile_store(Controller& controller) {
  WEIR_FAULT_POINT("start.opened");
  co_await drain_spool(controller);
  WEIR_FAULT_POINT("start.drained");
  const Result<std::string> last_boot = controller.store.boot_id();
  if (!last_boot) co_return last_boot.error();
  const std::string boot = current_boot_id();
  const Result<std::vector<Attachment>> rows = controller.store.attachments();
  if (!rows) co_return rows.error();
  co_await remove_stale(controller, !last_boot->empty() && *last_boot != boot, *rows);
  WEIR_FAULT_POINT("start.reconciled");
  co_return controller.store.set_boot_id(boot);
}

Task<> retry_ports(Controller& controller, std::vector<ReplayReport::Failure> failures) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  for (int i = 0; i < kPortRetries && !failures.empty(); ++i) {
    timer.expires_after(kRetryPause);
    co_await timer.async_wait(asio::use_awaitable);
    if (!controller.dataplane.ready()) co_return;  // its next replay has them all
    std::vector<ReplayReport::Failure> left;
    for (const ReplayReport::Failure& failure : failures) {
      if (const auto uplink = find_uplink(controller.config.network, failure.port_key)) {
        const auto open = [&](api::Client& client) { return client.uplink_set(*uplink); };
        const auto set = co_await controller.dataplane.call<Result<api::PortState>>(open);
        if (!set) left.push_back({failure.port_key, set.error()});
        continue;
      }
      const auto row = controller.store.find_attachment(failure.port_key);
      if (!row || !*row || (*row)->state != AttachmentState::ready) continue;
      const Result<ReplayPort> port = replay_port(controller, **row);
      if (!port) continue;
      const auto ask = [&](api::Client& client) { return set_port(client, *port); };
      const auto set = co_await controller.dataplane.call<Result<api::PortState>>(ask);
      if (!set) left.push_back({failure.port_key, set.error()});
    }
    failures = std::move(left);
  }
}

}  // namespace weir::control
