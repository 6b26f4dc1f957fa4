#include "control/cni/check.h"

#include <linux/rtnetlink.h>

#include <algorithm>

#include "control/cni/cni_error.h"
#include "control/cni/delegate.h"
#include "control/cni/pod_port.h"
#include "control/cni/teardown.h"

namespace weir::control {

namespace {

using Failure = std::optional<cni::Error>;

cni::Error mismatch(std::string what) {
  return {cni::Code::mismatch, std::move(what), "delete the pod and let it be made again"};
}

Failure check_previous(const cni::NetworkConfig& config, const std::vector<Lease>& leases) {
  if (!config.prev_result) return std::nullopt;
  for (const Lease& lease : leases) {
    const bool listed = std::ranges::any_of(
        config.prev_result->ips,
        [&](const cni::AddressConfig& ip) { return ip.address == lease.address; });
    if (!listed)
      return mismatch("prevResult does not list the leased address " + to_string(lease.address));
  }
  return std::nullopt;
}

Task<Failure> check_port(Controller& controller, const Attachment& row) {
  const auto ports = co_await controller.dataplane.call<Result<std::vector<api::PortState>>>(
      [](api::Client& client) { return client.port_list(); });
  if (!ports) co_return cni_error(ports.error(), "the dataplane is not ready");
  const bool known = std::ranges::any_of(
      *ports, [&](const api::PortState& port) { return port.config.key == row.id; });
  if (!known) co_return mismatch("the dataplane does not have the port of " + row.ifname);
  co_return std::nullopt;
}

bool has_route(const std::vector<LinkRoute>& routes, const IpPrefix& prefix) {
  return std::ranges::any_of(routes,
                             [&](const LinkRoute& route) { return route.prefix == prefix; });
}

// The MAC that the chain's last plugin reported for the interface: a later plugin may have
// changed it. Zero: nobody says.
MacAddress reported_mac(const cni::NetworkConfig& config, const Attachment& row) {
  if (!config.prev_result) return {};
  for (const cni::Interface& one : config.prev_result->interfaces) {
    if (one.name == row.ifname && !one.sandbox.empty()) {
      return parse_mac(one.mac).value_or(MacAddress{});
    }
  }
  return {};
}

// A delegated IPAM's routes are known from what ADD answered only.
cni::Outcome<std::vector<cni::RouteConfig>> routes_of(const cni::NetworkConfig& config,
                                                      const Attachment& row) {
  if (!cni::delegates_ipam(config)) return pod_routes(config);
  const auto document = cni::parse_json(row.result);
  if (!document) return document.error();
  const auto result = cni::parse_result(*document);
  if (!result) return result.error();
  return result->routes;
}

// Runs in the pod's namespace. The MTU is not looked at: a later plugin of the chain may
// have changed it, and results before 1.1.0 do not tell.
Failure check_link(const PodLink& link) {
  Result<Netlink> netlink = Netlink::open();
  if (!netlink) return cni_error(netlink.error());
  const auto found = netlink->find_link(link.ifname);
  if (!found) return cni_error(found.error());
  if (!*found || (*found)->alias != link_alias(link.key)) {
    return mismatch("the interface " + link.ifname + " is gone");
  }
  if (!link.mac.is_zero() && (*found)->mac != link.mac) {
    return mismatch("the interface " + link.ifname + " has another MAC than " +
                    to_string(link.mac));
  }
  if (!(*found)->up) return mismatch("the interface " + link.ifname + " is down");
  const auto addresses = netlink->addresses((*found)->index);
  const auto routes = netlink->routes((*found)->index);
  if (!addresses) return cni_error(addresses.error());
  if (!routes) return cni_error(routes.error());
  for (const IpAddress& leased : link.addresses) {
    const bool there = std::ranges::any_of(
        *addresses, [&](const LinkAddress& address) { return address.address == leased; });
    if (!there) return mismatch(link.ifname + " lacks the address " + to_string(leased));
  }
  for (const PodRoute& route : link.routes) {
    const bool other_table = route.table != 0 && route.table != RT_TABLE_MAIN;
    if (!other_table && !has_route(*routes, route.prefix)) {
      return mismatch(link.ifname + " lacks the route " + to_string(route.prefix));
    }
  }
  return std::nullopt;
}

Failure check_namespace(const std::string& netns, const PodLink& link) {
  const Result<Namespace> space = Namespace::open(netns);
  if (!space) return cni::Error{cni::Code::invalid_netns, space.error().text, ""};
  Failure failure;
  const Status ran = space->run([&]() -> Status {
    failure = check_link(link);
    return {};
  });
  return ran ? failure : Failure(cni_error(ran.error()));
}

Task<Failure> check_row(Controller& controller, const Attachment& row,
                        const cni::NetworkConfig& config) {
  const auto leases = controller.store.leases_of(row.id);
  if (!leases) co_return cni_error(leases.error());
  if (leases->empty()) co_return mismatch("no address is leased to " + row.ifname);
  if (Failure failure = check_previous(config, *leases)) co_return failure;
  if (Failure failure = co_await check_port(controller, row)) co_return failure;
  if (row.kind != api::PortKind::kernel) co_return std::nullopt;
  const auto routes = routes_of(config, row);
  if (!routes) co_return routes.error();
  PodLink link = pod_link(row, *leases, for_leases(*routes, *leases));
  link.mac = reported_mac(config, row);
  const std::string netns = row.netns;
  co_return co_await controller.pool.run([&netns, &link] { return check_namespace(netns, link); });
}

}  // namespace

Task<cni::Outcome<cni::Json>> check_attachment(Controller& controller, cni::Request request) {
  const auto config = cni::parse_network_config(request.config, cni::Command::check);
  if (!config) co_return config.error();
  const cni::Environment& environment = request.environment;
  const auto lock = co_await controller.locks.lock(
      lock_name(config->name, environment.container_id, environment.ifname));
  const auto row =
      controller.store.find_attachment(config->name, environment.container_id, environment.ifname);
  if (!row) co_return cni_error(row.error());
  if (!*row || (*row)->state != AttachmentState::ready) {
    co_return cni::Error{cni::Code::unknown_container,
                         environment.container_id + " has no " + environment.ifname + " here", ""};
  }
  if (const Failure failure = co_await check_row(controller, **row, *config)) co_return *failure;
  if (!cni::delegates_ipam(*config)) co_return cni::Json(nullptr);
  const auto done =
      co_await run_delegate(controller, delegate_call(cni::Command::check, *config, request));
  if (!done) co_return done.error();
  co_return cni::Json(nullptr);
}

}  // namespace weir::control
