#include "control/routes/kernel_routes.h"

#include <algorithm>

#include "control/routes/route_via.h"

namespace weir::control {

std::string_view KernelRoutes::to_string(Ignored reason) noexcept {
  switch (reason) {
    case Ignored::no_uplink: return "no next hop in an uplink's network";
    case Ignored::kind: return "neither unicast, blackhole, unreachable nor prohibit";
    case Ignored::tos: return "for one type of service only";
    case Ignored::count: break;
  }
  return "";
}

KernelRoutes::KernelRoutes(const config::NetworkConfig& network) : filter_(network.kernel_routes) {
  for (const config::UplinkConfig& uplink : network.uplinks) {
    for (const config::InterfaceAddress& own : uplink.addresses) {
      networks_.push_back(make_prefix(own.address, own.length));
    }
  }
}

bool KernelRoutes::on_uplink(const IpAddress& gateway) const {
  return std::ranges::any_of(networks_, [&](const IpPrefix& network) { return contains(network, gateway); });
}

bool KernelRoutes::wanted(const KernelRoute& route) const {
  return route.table == filter_.table && std::ranges::find(filter_.protocols, route.protocol) != filter_.protocols.end();
}

// The first of them if there are more than the dataplane takes.
std::vector<api::NextHop> KernelRoutes::usable_hops(const KernelRoute& route) const {
  std::vector<api::NextHop> usable;
  for (const KernelNextHop& hop : route.hops) {
    const bool other_family = hop.gateway.family != route.prefix.address.family;
    const bool again = std::ranges::find(usable, hop.gateway, &api::NextHop::gateway) != usable.end();
    if (other_family || again || !on_uplink(hop.gateway) || usable.size() == api::kMaxNextHops) continue;
    usable.push_back({.gateway = hop.gateway, .weight = static_cast<uint16_t>(hop.weight)});
  }
  return usable;
}

KernelRoutes::Entry KernelRoutes::translate(const KernelRoute& route) const {
  Entry entry{.hops = route.hops, .route = {.prefix = route.prefix}, .dump = dump_};
  const auto ignore = [&](Ignored reason) {
    entry.reason = reason;
    return entry;
  };
  if (route.tos != 0) return ignore(Ignored::tos);
  switch (route.kind) {
    case KernelRouteKind::blackhole: entry.route.kind = api::RouteKind::blackhole; return entry;
    case KernelRouteKind::unreachable: entry.route.kind = api::RouteKind::unreachable; return entry;
    case KernelRouteKind::other: return ignore(Ignored::kind);
    case KernelRouteKind::unicast: break;
  }
  const std::vector<api::NextHop> hops = usable_hops(route);
  if (hops.empty()) return ignore(Ignored::no_uplink);
  entry.route = route_via(route.prefix, hops);
  return entry;
}

// A route of another table, or one that took the place of ours, is no route of ours.
void KernelRoutes::set(const KernelRoute& route) {
  if (route.table != filter_.table) return;
  const Key key = key_of(route);
  const auto found = routes_.find(key);
  if (!wanted(route)) {
    if (found != routes_.end()) forget(found);
    return;
  }
  Entry entry = translate(route);
  const bool same = found != routes_.end() && found->second.route.kind == entry.route.kind &&
                    found->second.hops == entry.hops;
  routes_.insert_or_assign(key, std::move(entry));
  if (!same) changed_.insert(route.prefix);
}

bool KernelRoutes::remove(const KernelRoute& route) {
  if (!wanted(route)) return true;
  const auto found = routes_.find(key_of(route));
  if (found == routes_.end()) return true;
  // IPv6 takes single next hops out of a route this way.
  const bool whole = found->second.hops == route.hops;
  forget(found);
  return whole;
}

KernelRoutes::Routes::iterator KernelRoutes::forget(Routes::iterator entry) {
  changed_.insert(entry->first.prefix);
  return routes_.erase(entry);
}

void KernelRoutes::end_dump() {
  for (auto entry = routes_.begin(); entry != routes_.end();) {
    entry = entry->second.dump == dump_ ? std::next(entry) : forget(entry);
  }
  complete_ = true;
}

// The one that the kernel prefers of those that can be used.
std::optional<api::Route> KernelRoutes::find(const IpPrefix& prefix) const {
  for (auto entry = routes_.lower_bound({.prefix = prefix}); entry != routes_.end() && entry->first.prefix == prefix; ++entry) {
    if (entry->second.route.kind != api::RouteKind::none) return entry->second.route;
  }
  return std::nullopt;
}

std::vector<api::Route> KernelRoutes::all() const {
  std::vector<api::Route> all;
  for (const auto& [key, entry] : routes_) {
    const bool again = !all.empty() && all.back().prefix == key.prefix;
    if (entry.route.kind != api::RouteKind::none && !again) all.push_back(entry.route);
  }
  return all;
}

std::array<size_t, static_cast<size_t>(KernelRoutes::Ignored::count)> KernelRoutes::ignored() const {
  std::array<size_t, static_cast<size_t>(Ignored::count)> counts{};
  for (const auto& [key, entry] : routes_) {
    if (entry.reason != Ignored::count) ++counts[static_cast<size_t>(entry.reason)];
  }
  return counts;
}

std::vector<IpPrefix> KernelRoutes::take_changed(size_t most) {
  const auto end = std::next(changed_.begin(), static_cast<std::ptrdiff_t>(std::min(most, changed_.size())));
  std::vector<IpPrefix> taken(changed_.begin(), end);
  changed_.erase(changed_.begin(), end);
  return taken;
}

}  // namespace weir::control
