#include "control/netns/host_link.h"

#include <algorithm>

#include "control/netns/service_routes.h"

namespace weir::control {

namespace {

std::vector<LinkRoute> wanted_routes(const HostLink& host, int index) {
  std::vector<LinkRoute> routes;
  for (const IpPrefix& prefix : host.pod_prefixes) {
    const bool ip4 = prefix.address.is_ip4();
    LinkRoute route{.prefix = prefix, .link = index};
    route.gateway = ip4 ? host.link.gateway4 : host.link.gateway6;
    const auto own = std::ranges::find_if(
        host.link.addresses, [&](const IpAddress& a) { return a.family == prefix.address.family; });
    if (own != host.link.addresses.end()) route.source = *own;
    routes.push_back(route);
  }
  return routes;
}

bool same_route(const LinkRoute& a, const LinkRoute& b) {
  return a.prefix == b.prefix && a.gateway == b.gateway && a.source == b.source;
}

bool is_link_local(const IpAddress& address) {
  return address.is_ip6() && address.bytes[0] == 0xfe && (address.bytes[1] & 0xc0) == 0x80;
}

Status sync_addresses(Netlink& netlink, int index, const HostLink& host) {
  const Result<std::vector<LinkAddress>> there = netlink.addresses(index);
  if (!there) return there.error();
  for (const LinkAddress& old : *there) {
    if (is_link_local(old.address) ||
        std::ranges::find(host.link.addresses, old.address) != host.link.addresses.end()) {
      continue;
    }
    if (const Status gone = netlink.delete_address(index, old.address, old.length); !gone)
      return gone;
  }
  return {};
}

Status sync_routes(Netlink& netlink, int index, const HostLink& host) {
  const Result<std::vector<LinkRoute>> there = netlink.routes(index);
  if (!there) return there.error();
  const std::vector<LinkRoute> wanted = wanted_routes(host, index);
  const auto contains_route = [](const std::vector<LinkRoute>& list, const LinkRoute& route) {
    return std::ranges::any_of(list, [&](const LinkRoute& r) { return same_route(r, route); });
  };
  for (const LinkRoute& old : *there) {
    if (contains_route(wanted, old) || is_service_route(old)) continue;
    if (const Status gone = netlink.delete_route(old); !gone) return gone;
  }
  for (const LinkRoute& route : wanted) {
    if (contains_route(*there, route)) continue;
    const Status added = netlink.add_route(route);
    if (!added && added.error().code == ErrorCode::exists) {
      return {ErrorCode::exists, "the node already routes " + to_string(route.prefix) +
                                     " elsewhere: remove that route or change network.pod_cidrs"};
    }
    if (!added) return added;
  }
  return {};
}

// The open tap, or an empty Fd when the interface was there.
Result<api::Fd> ensure_tap(const PodLink& link) {
  const Result<bool> exists = link_exists(link);
  if (!exists) return exists.error();
  if (*exists) return api::Fd();
  Result<api::Fd> made = create_link(link);
  if (made || made.error().code != ErrorCode::exists) return made;
  return {ErrorCode::exists, "an interface named " + link.ifname +
                                 " that is not weir's is already there: remove it or set another "
                                 "network.host_interface"};
}

}  // namespace

Status remove_orphaned_link(const std::string& ifname) {
  Result<Netlink> netlink = Netlink::open();
  if (!netlink) return netlink.error();
  const Result<std::optional<Link>> found = netlink->find_link(ifname);
  if (!found) return found.error();
  if (!*found || !is_weir_link(**found)) return {};
  return Netlink::delete_link((*found)->index);
}

Result<api::Fd> ensure_host_link(const HostLink& host) {
  Result<api::Fd> tap = ensure_tap(host.link);
  if (!tap) return tap;
  Result<Netlink> netlink = Netlink::open();
  if (!netlink) return netlink.error();
  const Result<std::optional<Link>> found = netlink->find_link(host.link.ifname);
  if (!found) return found.error();
  if (!*found) return {ErrorCode::not_found, "the interface " + host.link.ifname + " is gone"};
  const int index = (*found)->index;
  if ((*found)->mtu != host.link.mtu) {
    if (const Status set = netlink->set_mtu(index, host.link.mtu); !set) return set.error();
  }
  if (const Status done = sync_addresses(*netlink, index, host); !done) return done.error();
  PodLink plain = host.link;
  plain.routes.clear();
  // The gateway needs no route of its own: pod_prefixes hold it.
  plain.gateway4 = plain.gateway6 = {};
  if (const Status done = configure_link(plain); !done) return done.error();
  if (const Status done = sync_routes(*netlink, index, host); !done) return done.error();
  for (const IpAddress& gateway : {host.link.gateway4, host.link.gateway6}) {
    if (gateway.is_none()) continue;
    const Status set = netlink->set_neighbour(index, gateway, kGatewayMac);
    if (!set) return set.error();
  }
  return tap;
}

}  // namespace weir::control
