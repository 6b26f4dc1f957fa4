#include "control/ctl/route_view.h"

#include <algorithm>
#include <tuple>

#include "control/ctl/table.h"

namespace weir::ctl {
namespace {

// Leases and services are the dataplane's own conclusions; all else was configured.
const char* origin(const api::Route& route) {
  if (route.kind == api::RouteKind::service) return "service";
  return (route.flags & api::kRouteLease) != 0 ? "lease" : "configured";
}

std::vector<api::NextHop> next_hops(const api::Route& route) {
  const auto* first = route.next_hops.begin();
  if (route.kind == api::RouteKind::multipath) {
    return {first, first + std::min<size_t>(route.next_hop_count, api::kMaxNextHops)};
  }
  if (route.kind != api::RouteKind::gateway) return {};
  const bool gone = (route.flags & api::kRouteUnresolved) != 0;
  return {{.gateway = route.gateway, .weight = 1, .unresolved = gone}};
}

std::string next_hop_text(const api::NextHop& hop) {
  return weir::to_string(hop.gateway) + (hop.weight > 1 ? "*" + std::to_string(hop.weight) : "") +
         (hop.unresolved != 0 ? " (unresolved)" : "");
}

std::string gateways_text(const api::Route& route) {
  if (route.kind != api::RouteKind::multipath) return weir::to_string(route.gateway);
  std::string text;
  for (const api::NextHop& hop : next_hops(route)) text += (text.empty() ? "" : ", ") + next_hop_text(hop);
  return text;
}

Json next_hops_json(const api::Route& route) {
  Json all = Json::array();
  for (const api::NextHop& hop : next_hops(route)) {
    all.push_back({{"gateway", weir::to_string(hop.gateway)}, {"weight", hop.weight}, {"unresolved", hop.unresolved != 0}});
  }
  return all;
}

bool unresolved(const api::Route& route) { return (route.flags & api::kRouteUnresolved) != 0; }

}  // namespace

std::string_view to_string(api::RouteKind kind) noexcept {
  switch (kind) {
    case api::RouteKind::none: return "none";
    case api::RouteKind::blackhole: return "blackhole";
    case api::RouteKind::unreachable: return "unreachable";
    case api::RouteKind::port: return "port";
    case api::RouteKind::gateway: return "gateway";
    case api::RouteKind::local: return "local";
    case api::RouteKind::service: return "service";
    case api::RouteKind::connected: return "connected";
    case api::RouteKind::multipath: return "multipath";
  }
  return "unknown";
}

void sort_routes(std::vector<api::Route>& routes) {
  std::ranges::sort(routes, {}, [](const api::Route& route) {
    const IpAddress& address = route.prefix.address;
    return std::make_tuple(address.family, address.bytes, route.prefix.length);
  });
}

std::string routes_text(std::span<const api::Route> routes, const PortNames& names) {
  Table table({{"PREFIX"}, {"KIND"}, {"GATEWAY"}, {"PORT"}, {"ORIGIN"}, {"STATE"}});
  for (const api::Route& route : routes) {
    table.row({weir::to_string(route.prefix), std::string(to_string(route.kind)),
               gateways_text(route), port_label(route.port_key, names), origin(route),
               unresolved(route) ? "unresolved" : "ok"});
  }
  return table.text();
}

Json route_json(const api::Route& route, const PortNames& names) {
  return {{"prefix", weir::to_string(route.prefix)},
          {"kind", to_string(route.kind)},
          {"gateway", weir::to_string(route.gateway)},
          {"next_hops", next_hops_json(route)},
          {"port", port_reference_json(route.port_key, names)},
          {"origin", origin(route)},
          {"unresolved", unresolved(route)}};
}

Json routes_json(std::span<const api::Route> routes, const PortNames& names) {
  Json all = Json::array();
  for (const api::Route& route : routes) all.push_back(route_json(route, names));
  return all;
}

}  // namespace weir::ctl
