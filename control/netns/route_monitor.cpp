#include "control/netns/route_monitor.h"

#include <linux/rtnetlink.h>
#include <netlink/msg.h>

#include <cstdlib>
#include <optional>

#include "control/netns/netlink_object.h"

namespace weir::control {

namespace {

constexpr int kReceiveBuffer = 8 << 20;  // bytes; a few ten thousand routes

KernelRouteKind kind_of(int type) {
  switch (type) {
    case RTN_UNICAST: return KernelRouteKind::unicast;
    case RTN_BLACKHOLE: return KernelRouteKind::blackhole;
    case RTN_UNREACHABLE:
    case RTN_PROHIBIT: return KernelRouteKind::unreachable;
    default: return KernelRouteKind::other;
  }
}

void add_hop(rtnl_nexthop* hop, void* context) {
  if ((rtnl_route_nh_get_flags(hop) & (RTNH_F_DEAD | RTNH_F_LINKDOWN)) != 0) return;
  // The kernel counts weights from 0.
  static_cast<KernelRoute*>(context)->hops.push_back(
      {.gateway = from_netlink(rtnl_route_nh_get_gateway(hop)),
       .weight = uint32_t{rtnl_route_nh_get_weight(hop)} + 1});
}

// nullopt: no route of IPv4 or IPv6, or a cached one.
std::optional<KernelRoute> read_kernel_route(nlmsghdr* message) {
  rtnl_route* raw = nullptr;
  if (rtnl_route_parse(message, &raw) < 0) return std::nullopt;
  const OwnedRoute object(raw);
  const int family = rtnl_route_get_family(raw);
  const bool cached = (rtnl_route_get_flags(raw) & RTM_F_CLONED) != 0;
  if (cached || (family != AF_INET && family != AF_INET6)) return std::nullopt;
  const nl_addr* prefix = rtnl_route_get_dst(raw);
  KernelRoute route{.table = rtnl_route_get_table(raw),
                    .priority = rtnl_route_get_priority(raw),
                    .protocol = rtnl_route_get_protocol(raw),
                    .tos = rtnl_route_get_tos(raw),
                    .kind = kind_of(rtnl_route_get_type(raw))};
  route.prefix.address = from_netlink(prefix);
  route.prefix.address.family = family == AF_INET ? Family::ip4 : Family::ip6;
  route.prefix.length = static_cast<uint8_t>(nl_addr_get_prefixlen(prefix));
  if (route.kind == KernelRouteKind::unicast) rtnl_route_foreach_nexthop(raw, add_hop, &route);
  return route;
}

}  // namespace

Result<RouteMonitor> RouteMonitor::open() {
  RouteMonitor monitor(nl_socket_alloc());
  nl_sock* const socket = monitor.socket_.get();
  if (socket == nullptr) return {ErrorCode::no_memory, "no memory for a netlink socket"};
  int code = nl_connect(socket, NETLINK_ROUTE);
  if (code >= 0) {
    code = nl_socket_add_memberships(socket, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_LINK,
                                     RTNLGRP_IPV4_IFADDR, RTNLGRP_NONE);
  }
  if (code >= 0) code = nl_socket_set_nonblocking(socket);
  if (code < 0) return netlink_error("cannot follow the kernel's routes", code);
  // FORCE goes beyond net.core.rmem_max; without the right to it the rest serves as well.
  static_cast<void>(nl_socket_set_buffer_size(socket, kReceiveBuffer, 0));
  static_cast<void>(setsockopt(nl_socket_get_fd(socket), SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBuffer,
                               sizeof kReceiveBuffer));
  return monitor;
}

Status RouteMonitor::request_dump() {
  interrupted_ = false;
  const int code = nl_rtgen_request(socket_.get(), RTM_GETROUTE, AF_UNSPEC, NLM_F_DUMP);
  return netlink_status("cannot ask for the kernel's routes", code);
}

void RouteMonitor::handle(nlmsghdr* message, RouteEvents& events) {
  if ((message->nlmsg_flags & NLM_F_DUMP_INTR) != 0) interrupted_ = true;
  switch (message->nlmsg_type) {
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
      if (const auto route = read_kernel_route(message)) {
        message->nlmsg_type == RTM_NEWROUTE ? events.route_set(*route) : events.route_gone(*route);
      }
      break;
    case NLMSG_DONE: events.dump_ended(!interrupted_); break;
    case NLMSG_ERROR: events.dump_ended(false); break;
    case RTM_NEWLINK:
    case RTM_DELLINK:
    case RTM_DELADDR: events.lost(); break;
    default: break;
  }
}

Result<bool> RouteMonitor::read(RouteEvents& events) {
  sockaddr_nl from{};
  unsigned char* raw = nullptr;
  int left = nl_recv(socket_.get(), &from, &raw, nullptr);
  const std::unique_ptr<unsigned char, decltype(&std::free)> bytes(raw, std::free);
  if (left == -NLE_AGAIN || left == 0) return false;
  if (left == -NLE_NOMEM) {  // ENOBUFS: the kernel threw messages away
    events.lost();
    return true;
  }
  if (left < 0) return netlink_error("cannot read the kernel's routes", left);
  for (auto* message = reinterpret_cast<nlmsghdr*>(raw); nlmsg_ok(message, left); message = nlmsg_next(message, &left)) {
    handle(message, events);
  }
  return true;
}

}  // namespace weir::control
