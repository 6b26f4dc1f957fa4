#include "control/netns/service_routes.h"

#include <algorithm>

namespace weir::control {

namespace {

// As routes to pods: over the gateway, from the node's own address in the pod network.
LinkRoute route_to(const HostLink& host, int index, const IpAddress& address) {
  LinkRoute route{.prefix = make_prefix(address, address.bits()), .link = index};
  route.gateway = address.is_ip4() ? host.link.gateway4 : host.link.gateway6;
  const auto own = std::ranges::find_if(
      host.link.addresses, [&](const IpAddress& a) { return a.family == address.family; });
  if (own != host.link.addresses.end()) route.source = *own;
  return route;
}

// What is there and wanted too; removes the rest.
Result<std::set<IpAddress>> keep_wanted(Netlink& netlink, int index,
                                        const std::set<IpAddress>& wanted, ServiceRoutes& report) {
  const Result<std::vector<LinkRoute>> there = netlink.routes(index);
  if (!there) return there.error();
  std::set<IpAddress> kept;
  for (const LinkRoute& route : *there) {
    if (!is_service_route(route)) continue;
    if (wanted.contains(route.prefix.address)) {
      kept.insert(route.prefix.address);
      continue;
    }
    if (const Status gone = netlink.delete_route(route); !gone) return gone.error();
    ++report.removed;
  }
  return kept;
}

}  // namespace

bool is_service_route(const LinkRoute& route) {
  return route.prefix.length == route.prefix.address.bits();
}

Result<ServiceRoutes> sync_service_routes(const HostLink& host, const std::set<IpAddress>& wanted) {
  Result<Netlink> netlink = Netlink::open();
  if (!netlink) return netlink.error();
  const Result<std::optional<Link>> link = netlink->find_link(host.link.ifname);
  if (!link) return link.error();
  if (!*link) return {ErrorCode::not_found, "the interface " + host.link.ifname + " is gone"};
  ServiceRoutes report;
  const auto kept = keep_wanted(*netlink, (*link)->index, wanted, report);
  if (!kept) return kept.error();
  for (const IpAddress& address : wanted) {
    if (kept->contains(address)) continue;
    const LinkRoute route = route_to(host, (*link)->index, address);
    if (route.gateway.is_none()) continue;
    const Status added = netlink->add_route(route);
    if (!added && added.error().code != ErrorCode::exists) return added.error();
    if (added) ++report.added;
    if (!added) report.elsewhere.push_back(address);
  }
  return report;
}

}  // namespace weir::control
