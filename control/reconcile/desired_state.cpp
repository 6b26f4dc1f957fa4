#include "control/reconcile/desired_state.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "control/cni/pod_port.h"
#include "control/reconcile/host_port.h"
#include "control/reconcile/routes.h"
#include "control/reconcile/uplinks.h"

namespace weir::control {

namespace {

// Rows whose ports the dataplane must keep.
bool is_wanted(const Controller& controller, const Attachment& row) {
  return row.container_id != kHostContainerId &&
         (row.state == AttachmentState::ready || controller.live.contains(row.id));
}

Status add_ports(const Controller& controller, ReplayPlan& plan) {
  const Result<std::vector<Attachment>> rows = controller.store.attachments();
  if (!rows) return rows.error();
  if (controller.host.key != 0) plan.ports.push_back(host_replay_port(controller));
  for (const Attachment& row : *rows) {
    if (!is_wanted(controller, row)) continue;
    Result<ReplayPort> port = replay_port(controller, row);
    if (port) {
      plan.ports.push_back(*std::move(port));
    } else {
      spdlog::error("the port of {} cannot be set: {}", row.container_id, port.error().text);
    }
  }
  return {};
}

}  // namespace

Result<ReplayPort> replay_port(const Controller& controller, const Attachment& row) {
  const Result<std::vector<Lease>> leases = controller.store.leases_of(row.id);
  if (!leases) return leases.error();
  const auto config = cni::parse_network_config(row.config, cni::Command::del);
  if (!config) return {ErrorCode::config, config.error().msg};
  const auto port = port_config(controller, row, *leases, *config);
  if (!port) return {ErrorCode::config, port.error().msg};
  const auto limits = port_limits(*config);
  if (!limits) return {ErrorCode::config, limits.error().msg};
  ReplayPort out{.config = *port, .limits = *limits};
  if (row.kind == api::PortKind::kernel) {
    out.open_tap = [netns = row.netns, link = pod_link(row)]() -> Result<api::Fd> {
      const Result<Namespace> space = Namespace::open(netns);
      if (!space) return space.error();
      return space->run_for<api::Fd>([&] { return attach_link(link); });
    };
  }
  return out;
}

Result<ReplayPlan> desired_state(Controller& controller) {
  ReplayPlan plan;
  if (!controller.kernel_routes.complete()) {
    return {ErrorCode::unavailable, "the kernel's routes are not read yet"};
  }
  const Result<uint64_t> generation = controller.store.next_generation();
  if (!generation) return generation.error();
  plan.generation = *generation;
  plan.uplinks = uplinks(controller.config.network);
  if (const Status ports = add_ports(controller, plan); !ports) return ports.error();
  Result<std::vector<api::Route>> routes = wanted_routes(controller);
  if (!routes) return routes.error();
  plan.routes = *std::move(routes);
  plan.services = controller.services.whole();
  return plan;
}

}  // namespace weir::control
