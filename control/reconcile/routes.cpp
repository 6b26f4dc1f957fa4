#include "control/reconcile/routes.h"

#include <algorithm>
#include <map>
#include <ranges>

#include "control/reconcile/uplinks.h"

namespace weir::control {

namespace {

using RouteMap = std::map<IpPrefix, api::Route>;

void add(RouteMap& routes, const api::Route& route) { routes.emplace(route.prefix, route); }

std::optional<api::Route> find(const RouteMap& routes, const IpPrefix& prefix) {
  const auto found = routes.find(prefix);
  return found != routes.end() ? std::optional(found->second) : std::nullopt;
}

// The built-in default route of the family, to the host port.
void add_default_route(const Controller& controller, Family family, RouteMap& routes) {
  const auto leased = [family](const IpAddress& a) { return a.family == family; };
  if (std::ranges::none_of(controller.host.link.link.addresses, leased)) return;
  add(routes, {.prefix = make_prefix(IpAddress{.family = family}, 0),
               .kind = api::RouteKind::port,
               .port_key = controller.host.key});
}

// The node's addresses lie behind its port whatever the default route is. Each needs a
// route of its own: ports that no service has are reached under the frontends there. Those of
// the host port itself the dataplane knows.
void add_node_routes(const Controller& controller, RouteMap& routes) {
  const HostLink& host = controller.host.link;
  for (const IpAddress& address : controller.services.node().addresses) {
    const bool derived =
        address == host.link.gateway4 || address == host.link.gateway6 ||
        std::ranges::find(host.link.addresses, address) != host.link.addresses.end();
    if (derived) continue;
    add(routes, {.prefix = make_prefix(address, address.bits()),
                 .kind = api::RouteKind::port,
                 .port_key = controller.host.key});
  }
}

// All but the operator's.
struct Beneath {
  explicit Beneath(const Controller& controller) : kernel(controller.kernel_routes) {
    for (const config::RouteConfig& route : controller.config.network.routes) {
      add(configured, configured_route(route));
    }
    if (controller.host.key == 0) return;
    for (const Family family : {Family::ip4, Family::ip6}) add_default_route(controller, family, own);
    add_node_routes(controller, own);
  }

  std::optional<api::Route> of(const IpPrefix& prefix) const {
    if (const auto route = find(configured, prefix)) return route;
    if (const auto route = kernel.find(prefix)) return route;
    return find(own, prefix);
  }

  RouteMap configured;
  const KernelRoutes& kernel;
  RouteMap own;
};

Result<RouteMap> operators_routes(const Controller& controller) {
  const Result<std::vector<StoredRoute>> stored = controller.store.routes();
  if (!stored) return stored.error();
  RouteMap routes;
  for (const StoredRoute& route : *stored) add(routes, api_route(route));
  return routes;
}

}  // namespace

Result<std::vector<api::Route>> wanted_routes(const Controller& controller) {
  Result<RouteMap> routes = operators_routes(controller);
  if (!routes) return routes.error();
  Beneath beneath(controller);
  routes->merge(beneath.configured);
  for (const api::Route& route : beneath.kernel.all()) add(*routes, route);
  routes->merge(beneath.own);
  const auto values = std::views::values(*routes);
  return std::vector<api::Route>(values.begin(), values.end());
}

Result<RouteChanges> wanted_routes(const Controller& controller, const std::vector<IpPrefix>& prefixes) {
  const Result<RouteMap> operators = operators_routes(controller);
  if (!operators) return operators.error();
  const Beneath beneath(controller);
  RouteChanges changes;
  for (const IpPrefix& prefix : prefixes) {
    if (operators->contains(prefix)) continue;
    const auto route = beneath.of(prefix);
    route ? changes.set.push_back(*route) : changes.gone.push_back({.prefix = prefix});
  }
  return changes;
}

std::optional<api::Route> route_beneath(const Controller& controller, const IpPrefix& prefix) {
  return Beneath(controller).of(prefix);
}

api::Route api_route(const StoredRoute& route) {
  return {.prefix = route.prefix,
          .kind = route.kind,
          .port_key = route.port_key,
          .gateway = route.gateway};
}

}  // namespace weir::control
