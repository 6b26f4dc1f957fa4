#include "control/netns/pod_link.h"

#include <net/if.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "cni/fault/fault.h"
#include "control/netns/sysctl.h"
#include "control/netns/tap.h"

namespace weir::control {

namespace {

constexpr char kAliasPrefix[] = "weir:";

// Later plugins of a chain may change the MAC and the MTU; the alias stays.
bool belongs(const Link& found, const PodLink& link) {
  return found.kind == "tun" && found.alias == link_alias(link.key);
}

Result<std::optional<Link>> find_own(Netlink& netlink, const PodLink& link) {
  Result<std::optional<Link>> found = netlink.find_link(link.ifname);
  if (found && *found && !belongs(**found, link)) return std::optional<Link>();
  return found;
}

Status prepare(const PodLink& link) {
  Result<Netlink> netlink = Netlink::open();
  if (!netlink) return netlink.error();
  const auto index = static_cast<int>(if_nametoindex(link.ifname.c_str()));
  return netlink->set_identity(index, link_alias(link.key), link.mac, link.mtu);
}

bool has_ip6(const PodLink& link) {
  return std::ranges::any_of(link.addresses, &IpAddress::is_ip6);
}

// The gateway is reached directly and its neighbour entry is fixed, so a pod sends
// neither ARP nor neighbour solicitations for it.
Status add_gateway(Netlink& netlink, int index, const IpAddress& gateway) {
  if (gateway.is_none()) return {};
  WEIR_FAULT_ERROR("link.gateway_wanted");
  const Status routed =
      netlink.add_route({.prefix = make_prefix(gateway, gateway.bits()), .link = index});
  if (!routed && routed.error().code != ErrorCode::exists) return routed;
  WEIR_FAULT_ERROR("link.gateway_routed");
  return netlink.set_neighbour(index, gateway, kGatewayMac);
}

// A route that another interface has already stays: the pod's first network wins, as
// with the reference plugins.
Status add_pod_route(Netlink& netlink, int index, const PodLink& link, const PodRoute& route) {
  LinkRoute wanted{.prefix = route.prefix, .link = index, .gateway = route.gateway};
  wanted.mtu = route.mtu;
  wanted.advmss = route.advmss;
  wanted.priority = route.priority;
  wanted.table = route.table;
  if (wanted.gateway.is_none()) {
    wanted.gateway = route.prefix.address.is_ip4() ? link.gateway4 : link.gateway6;
  }
  WEIR_FAULT_ERROR("link.route_wanted");
  const Status added = netlink.add_route(wanted);
  return added || added.error().code == ErrorCode::exists ? Status{} : added;
}

Status set_up(Netlink& netlink, int index, const PodLink& link) {
  if (const Status set = ignore_router_advertisements(link.ifname); !set) return set;
  if (has_ip6(link)) {
    if (const Status enabled = enable_ip6(link.ifname); !enabled) return enabled;
  }
  for (const IpAddress& address : link.addresses) {
    if (const Status added = netlink.add_address(index, address, address.bits()); !added)
      return added;
  }
  return netlink.set_up(index);
}

Status configure(Netlink& netlink, int index, const PodLink& link) {
  if (const Status up = set_up(netlink, index, link); !up) return up;
  for (const IpAddress& gateway : {link.gateway4, link.gateway6}) {
    if (const Status added = add_gateway(netlink, index, gateway); !added) return added;
  }
  for (const PodRoute& route : link.routes) {
    if (const Status added = add_pod_route(netlink, index, link, route); !added) return added;
  }
  return {};
}

}  // namespace

std::string link_alias(uint64_t key) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%s%" PRIx64, kAliasPrefix, key);
  return text.data();
}

bool is_weir_link(const Link& link) {
  return link.kind == "tun" && link.alias.starts_with(kAliasPrefix);
}

Result<api::Fd> create_link(const PodLink& link) {
  return create_tap(link.ifname, [&] { return prepare(link); });
}

Status configure_link(const PodLink& link) {
  Result<Netlink> netlink = Netlink::open();
  if (!netlink) return netlink.error();
  const Result<std::optional<Link>> found = find_own(*netlink, link);
  if (!found) return found.error();
  if (!*found) return {ErrorCode::not_found, "the interface " + link.ifname + " is gone"};
  return configure(*netlink, (*found)->index, link);
}

Status configure_new_link(const PodLink& link) {
  Result<Netlink> netlink = Netlink::open();
  if (!netlink) return netlink.error();
  return configure(*netlink, static_cast<int>(if_nametoindex(link.ifname.c_str())), link);
}

Result<bool> link_exists(const PodLink& link) {
  Result<Netlink> netlink = Netlink::open();
  if (!netlink) return netlink.error();
  const Result<std::optional<Link>> found = find_own(*netlink, link);
  if (!found) return found.error();
  return found->has_value();
}

Result<api::Fd> attach_link(const PodLink& link) {
  const Result<bool> exists = link_exists(link);
  if (!exists) return exists.error();
  if (!*exists) return {ErrorCode::not_found, "the interface " + link.ifname + " is gone"};
  return attach_tap(link.ifname);
}

Status remove_link(const PodLink& link) {
  Result<Netlink> netlink = Netlink::open();
  if (!netlink) return netlink.error();
  const Result<std::optional<Link>> found = find_own(*netlink, link);
  if (!found) return found.error();
  return *found ? Netlink::delete_link((*found)->index) : Status{};
}

Status loopback_up() {
  Result<Netlink> netlink = Netlink::open();
  if (!netlink) return netlink.error();
  constexpr int kLoopback = 1;  // the first interface of every namespace
  return netlink->set_up(kLoopback);
}

}  // namespace weir::control
