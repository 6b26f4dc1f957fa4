#include "control/reconcile/uplinks.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "control/netns/netlink.h"
#include "control/netns/sysctl.h"
#include "control/routes/route_via.h"
#include "dataplane/api/codec.h"

namespace weir::control {

namespace {

// Keys of pods' ports count from 1; an uplink's is made of its name, so that it stays when
// others come and go.
constexpr uint64_t kUplinkKeys = uint64_t{1} << 40;

uint64_t key_of(const std::string& name) {
  uint32_t hash = 2166136261U;  // FNV-1a
  for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619U;
  return kUplinkKeys + hash;
}

Result<bool> carries_default_route(const std::string& interface) {
  Result<Netlink> netlink = Netlink::open();
  if (!netlink) return netlink.error();
  const Result<std::optional<Link>> link = netlink->find_link(interface);
  if (!link) return link.error();
  if (!*link) return false;
  const Result<std::vector<LinkRoute>> routes = netlink->routes((*link)->index);
  if (!routes) return routes.error();
  return std::ranges::any_of(*routes, [](const LinkRoute& route) { return route.prefix.length == 0; });
}

// Why the uplink may not be opened: a mistake there costs the operator the node.
Status preflight(const config::UplinkConfig& uplink) {
  const std::string interface = kernel_interface(uplink.devargs);
  if (interface.empty() || uplink.default_route) return {};
  const Result<bool> carries = carries_default_route(interface);
  if (!carries) return carries.error();
  if (!*carries) return {};
  return {ErrorCode::config, "uplink " + uplink.name + ": " + interface +
                                 " carries the node's default route and is left alone; use another "
                                 "interface, or set default_route of the uplink to true"};
}

api::UplinkConfig api_uplink(const config::UplinkConfig& uplink) {
  api::UplinkConfig config{.key = key_of(uplink.name), .mtu = uplink.mtu, .queues = uplink.queues};
  api::set_text(config.name, uplink.name);
  api::set_text(config.devargs, uplink.devargs);
  for (const config::InterfaceAddress& own : uplink.addresses) {
    (own.address.is_ip4() ? config.address4 : config.address6) = own.address;
    (own.address.is_ip4() ? config.length4 : config.length6) = own.length;
  }
  return config;
}

}  // namespace

std::string kernel_interface(const std::string& devargs) {
  if (!devargs.starts_with("net_af_packet") && !devargs.starts_with("net_af_xdp")) return "";
  constexpr std::string_view kArgument = ",iface=";
  const size_t at = devargs.find(kArgument);
  if (at == std::string::npos) return "";
  const size_t start = at + kArgument.size();
  return devargs.substr(start, devargs.find(',', start) - start);
}

std::vector<api::UplinkConfig> uplinks(const config::NetworkConfig& network) {
  std::vector<api::UplinkConfig> all;
  for (const config::UplinkConfig& uplink : network.uplinks) {
    if (const Status allowed = preflight(uplink); !allowed) {
      spdlog::error("{}", allowed.error().text);
      continue;
    }
    all.push_back(api_uplink(uplink));
  }
  return all;
}

std::optional<api::UplinkConfig> find_uplink(const config::NetworkConfig& network, uint64_t key) {
  const auto found = std::ranges::find(network.uplinks, key, [](const auto& uplink) { return key_of(uplink.name); });
  if (found == network.uplinks.end() || !preflight(*found)) return std::nullopt;
  return api_uplink(*found);
}

void keep_kernel_from_forwarding(const config::NetworkConfig& network) {
  for (const config::UplinkConfig& uplink : network.uplinks) {
    const std::string interface = kernel_interface(uplink.devargs);
    if (interface.empty()) continue;
    if (const Status stopped = stop_forwarding_from(interface); !stopped) {
      spdlog::warn("uplink {}: {}", uplink.name, stopped.error().text);
    }
  }
}

api::Route configured_route(const config::RouteConfig& route) {
  std::vector<api::NextHop> hops;
  for (const config::NextHopConfig& hop : route.via) hops.push_back({.gateway = hop.address, .weight = hop.weight});
  return route_via(route.prefix, hops);
}

}  // namespace weir::control
