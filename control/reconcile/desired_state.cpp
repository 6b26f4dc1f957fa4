#include "control/reconcile/desired_state.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "control/cni/pod_port.h"
#include "control/reconcile/host_port.h"
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

// The node's addresses lie behind its port whatever the default route is. Each needs a
// route of its own: ports that no service has are reached under the frontends there.
void add_node_routes(const Controller& controller, ReplayPlan& plan) {
  for (const api::Route& route : node_routes(controller)) {
    const auto same = [&](const api::Route& other) { return other.prefix == route.prefix; };
    if (std::ranges::none_of(plan.routes, same)) plan.routes.push_back(route);
  }
}

// Those of weir.json; the operator's own for the same prefix come first.
void add_configured_routes(const Controller& controller, ReplayPlan& plan) {
  for (const config::RouteConfig& route : controller.config.network.routes) {
    const auto same = [&](const api::Route& other) { return other.prefix == route.prefix; };
    if (std::ranges::any_of(plan.routes, same)) continue;
    plan.routes.push_back(configured_route(route));
  }
}

Status add_routes(const Controller& controller, ReplayPlan& plan) {
  const Result<std::vector<StoredRoute>> stored = controller.store.routes();
  if (!stored) return stored.error();
  for (const StoredRoute& route : *stored) plan.routes.push_back(api_route(route));
  add_configured_routes(controller, plan);
  for (const Family family : {Family::ip4, Family::ip6}) {
    const std::optional<api::Route> route = default_route(controller, family);
    const auto same = [&](const api::Route& other) { return other.prefix == route->prefix; };
    if (route && std::ranges::none_of(plan.routes, same)) plan.routes.push_back(*route);
  }
  add_node_routes(controller, plan);
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

std::optional<api::Route> default_route(const Controller& controller, Family family) {
  const HostPort& host = controller.host;
  const bool leased = std::ranges::any_of(host.link.link.addresses,
                                          [&](const IpAddress& a) { return a.family == family; });
  if (host.key == 0 || !leased) return std::nullopt;
  return api::Route{.prefix = make_prefix(IpAddress{.family = family}, 0),
                    .kind = api::RouteKind::port,
                    .port_key = host.key};
}

std::vector<api::Route> node_routes(const Controller& controller) {
  std::vector<api::Route> routes;
  const HostLink& host = controller.host.link;
  if (controller.host.key == 0) return routes;
  for (const IpAddress& address : controller.services.node().addresses) {
    const bool derived =
        address == host.link.gateway4 || address == host.link.gateway6 ||
        std::ranges::find(host.link.addresses, address) != host.link.addresses.end();
    if (derived) continue;
    routes.push_back({.prefix = make_prefix(address, address.bits()),
                      .kind = api::RouteKind::port,
                      .port_key = controller.host.key});
  }
  return routes;
}

api::Route api_route(const StoredRoute& route) {
  return {.prefix = route.prefix,
          .kind = route.kind,
          .port_key = route.port_key,
          .gateway = route.gateway};
}

Result<ReplayPlan> desired_state(Controller& controller) {
  ReplayPlan plan;
  const Result<uint64_t> generation = controller.store.next_generation();
  if (!generation) return generation.error();
  plan.generation = *generation;
  plan.uplinks = uplinks(controller.config.network);
  if (const Status ports = add_ports(controller, plan); !ports) return ports.error();
  if (const Status routes = add_routes(controller, plan); !routes) return routes.error();
  plan.services = controller.services.whole();
  return plan;
}

}  // namespace weir::control
