// Addresses, routes and neighbours of a Netlink.
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "control/netns/netlink.h"
#include "control/netns/netlink_object.h"

namespace weir::control {

namespace {

OwnedAddr make_addr(int link, const IpAddress& address, uint8_t length) {
  OwnedAddr object(rtnl_addr_alloc());
  const OwnedAddress local = to_netlink(address, length);
  rtnl_addr_set_ifindex(object.get(), link);
  rtnl_addr_set_local(object.get(), local.get());
  return object;
}

rtnl_nexthop* make_nexthop(const LinkRoute& route) {
  rtnl_nexthop* hop = rtnl_route_nh_alloc();
  rtnl_route_nh_set_ifindex(hop, route.link);
  if (!route.gateway.is_none()) {
    const OwnedAddress gateway = to_netlink(route.gateway, route.gateway.bits());
    rtnl_route_nh_set_gateway(hop, gateway.get());
    rtnl_route_nh_set_flags(hop, RTNH_F_ONLINK);
  }
  return hop;
}

OwnedRoute make_route(const LinkRoute& route) {
  OwnedRoute object(rtnl_route_alloc());
  const OwnedAddress prefix = to_netlink(route.prefix.address, route.prefix.length);
  rtnl_route_set_family(object.get(), static_cast<uint8_t>(kernel_family(route.prefix.address)));
  rtnl_route_set_dst(object.get(), prefix.get());
  rtnl_route_set_table(object.get(), route.table == 0 ? uint32_t{RT_TABLE_MAIN} : route.table);
  rtnl_route_set_protocol(object.get(), RTPROT_STATIC);
  rtnl_route_set_type(object.get(), RTN_UNICAST);
  rtnl_route_set_scope(
      object.get(), route.gateway.is_none() ? uint8_t{RT_SCOPE_LINK} : uint8_t{RT_SCOPE_UNIVERSE});
  if (route.priority != 0) rtnl_route_set_priority(object.get(), route.priority);
  if (route.mtu != 0) rtnl_route_set_metric(object.get(), RTAX_MTU, route.mtu);
  if (route.advmss != 0) rtnl_route_set_metric(object.get(), RTAX_ADVMSS, route.advmss);
  if (!route.source.is_none()) {
    const OwnedAddress source = to_netlink(route.source, route.source.bits());
    rtnl_route_set_pref_src(object.get(), source.get());
  }
  rtnl_route_add_nexthop(object.get(), make_nexthop(route));
  return object;
}

std::optional<LinkRoute> read_route(rtnl_route* object, int link) {
  if (rtnl_route_get_table(object) != RT_TABLE_MAIN || rtnl_route_get_type(object) != RTN_UNICAST ||
      rtnl_route_get_protocol(object) == RTPROT_KERNEL || rtnl_route_get_nnexthops(object) != 1) {
    return std::nullopt;
  }
  rtnl_nexthop* hop = rtnl_route_nexthop_n(object, 0);
  if (rtnl_route_nh_get_ifindex(hop) != link) return std::nullopt;
  const nl_addr* prefix = rtnl_route_get_dst(object);
  LinkRoute route;
  route.link = link;
  route.prefix.address = from_netlink(prefix);
  route.prefix.address.family =
      rtnl_route_get_family(object) == AF_INET ? Family::ip4 : Family::ip6;
  route.prefix.length = static_cast<uint8_t>(nl_addr_get_prefixlen(prefix));
  route.gateway = from_netlink(rtnl_route_nh_get_gateway(hop));
  route.source = from_netlink(rtnl_route_get_pref_src(object));
  route.priority = rtnl_route_get_priority(object);
  return route;
}

}  // namespace

Status Netlink::add_address(int link, const IpAddress& address, uint8_t length) {
  const OwnedAddr object = make_addr(link, address, length);
  if (address.is_ip6()) rtnl_addr_set_flags(object.get(), IFA_F_NODAD);
  const int code = rtnl_addr_add(socket_.get(), object.get(), 0);
  if (code == -NLE_EXIST) return {};
  return netlink_status("cannot add the address " + to_string(address), code);
}

Status Netlink::delete_address(int link, const IpAddress& address, uint8_t length) {
  const OwnedAddr object = make_addr(link, address, length);
  const int code = rtnl_addr_delete(socket_.get(), object.get(), 0);
  if (code == -NLE_NOADDR) return {};
  return netlink_status("cannot remove the address " + to_string(address), code);
}

Result<std::vector<LinkAddress>> Netlink::addresses(int link) {
  nl_cache* raw = nullptr;
  const int code = rtnl_addr_alloc_cache(socket_.get(), &raw);
  const OwnedCache cache(raw);
  if (code < 0) return netlink_error("cannot list addresses", code);
  std::vector<LinkAddress> out;
  for (nl_object* i = nl_cache_get_first(raw); i != nullptr; i = nl_cache_get_next(i)) {
    auto* object = reinterpret_cast<rtnl_addr*>(i);
    if (rtnl_addr_get_ifindex(object) != link) continue;
    const nl_addr* local = rtnl_addr_get_local(object);
    out.push_back({from_netlink(local), static_cast<uint8_t>(rtnl_addr_get_prefixlen(object))});
  }
  return out;
}

Status Netlink::add_route(const LinkRoute& route) {
  const OwnedRoute object = make_route(route);
  // EXCL: IPv6 would otherwise join an equal route to a multipath one.
  const int code = rtnl_route_add(socket_.get(), object.get(), NLM_F_CREATE | NLM_F_EXCL);
  return netlink_status("cannot add the route " + to_string(route.prefix), code);
}

Status Netlink::delete_route(const LinkRoute& route) {
  const OwnedRoute object = make_route(route);
  const int code = rtnl_route_delete(socket_.get(), object.get(), 0);
  if (code == -NLE_OBJ_NOTFOUND || code == -NLE_NODEV) return {};
  return netlink_status("cannot remove the route " + to_string(route.prefix), code);
}

Result<std::vector<LinkRoute>> Netlink::routes(int link) {
  nl_cache* raw = nullptr;
  const int code = rtnl_route_alloc_cache(socket_.get(), AF_UNSPEC, 0, &raw);
  const OwnedCache cache(raw);
  if (code < 0) return netlink_error("cannot list routes", code);
  std::vector<LinkRoute> out;
  for (nl_object* i = nl_cache_get_first(raw); i != nullptr; i = nl_cache_get_next(i)) {
    auto route = read_route(reinterpret_cast<rtnl_route*>(i), link);
    if (route) out.push_back(*route);
  }
  return out;
}

Status Netlink::set_neighbour(int link, const IpAddress& address, const MacAddress& mac) {
  const OwnedNeighbour object(rtnl_neigh_alloc());
  const OwnedAddress where = to_netlink(address, address.bits());
  const OwnedAddress hardware = to_netlink(mac);
  rtnl_neigh_set_ifindex(object.get(), link);
  rtnl_neigh_set_dst(object.get(), where.get());
  rtnl_neigh_set_lladdr(object.get(), hardware.get());
  rtnl_neigh_set_state(object.get(), NUD_PERMANENT);
  const int code = rtnl_neigh_add(socket_.get(), object.get(), NLM_F_CREATE | NLM_F_REPLACE);
  return netlink_status("cannot set the neighbour " + to_string(address), code);
}

}  // namespace weir::control
