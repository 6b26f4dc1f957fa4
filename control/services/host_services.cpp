#include "control/services/host_services.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "control/netns/sysctl.h"

namespace weir::control {

namespace {

bool is_external(api::FrontendKind kind) {
  return kind == api::FrontendKind::node_port || kind == api::FrontendKind::external_ip ||
         kind == api::FrontendKind::load_balancer || kind == api::FrontendKind::host_port;
}

// The address that a pod's mapping names; none: it has all of the node's.
IpAddress host_ip(const Controller& controller, const api::FrontendKey& key) {
  const ObjectName* owner = controller.services.owner(key);
  const auto found = owner == nullptr ? std::nullopt : controller.services.find(*owner);
  if (!found) return {};
  for (const ServicePort& port : found->service->ports) {
    const bool all = port.host_ip == IpAddress{.family = port.host_ip.family};
    if (port.port == key.port && port.protocol == key.protocol)
      return all ? IpAddress{} : port.host_ip;
  }
  return {};
}

void report(const ServiceRoutes& routes) {
  for (const IpAddress& address : routes.elsewhere) {
    spdlog::warn(
        "services: the node routes {} elsewhere, its own processes do not reach it: "
        "remove that route",
        to_string(address));
  }
}

// Without it the kernel drops what clients outside send to services; others need it too,
// so it is never switched off again.
Status allow_forwarding(const HostServiceState& state) {
  if (state.outside4 && !forwards(Family::ip4)) {
    if (const Status set = enable_forwarding4(); !set) return set;
    spdlog::info("services: IPv4 forwarding is on now, for pods and clients outside");
  }
  if (state.outside6 && !forwards(Family::ip6)) {
    spdlog::warn(
        "services: IPv6 between pods and clients or networks outside needs the sysctl "
        "net.ipv6.conf.all.forwarding set to 1");
  }
  return {};
}

// Each part is tried whatever became of the others.
void carry_out(const HostLink& host, const HostServiceState& state, bool rules_changed) {
  const Result<ServiceRoutes> routes = sync_service_routes(host, state.routes);
  if (routes) {
    report(*routes);
  } else {
    spdlog::warn("services: {}", routes.error().text);
  }
  if (rules_changed) {
    const Status loaded = load_rules(to_nft(state.rules));
    // Without nftables there is nothing to take away either.
    if (!loaded && state.rules.wanted()) spdlog::warn("services: {}", loaded.error().text);
  }
  const Status forwarding = allow_forwarding(state);
  if (!forwarding) spdlog::warn("services: {}", forwarding.error().text);
}

}  // namespace

HostServiceState host_services(const Controller& controller) {
  const HostLink& host = controller.host.link;
  HostServiceState state;
  state.rules = {.gateway4 = host.link.gateway4,
                 .gateway6 = host.link.gateway6,
                 .interface = host.link.ifname,
                 .masquerade = masquerade_of(controller.config)};
  state.outside4 = state.rules.masquerade.covers(Family::ip4);
  state.outside6 = state.rules.masquerade.covers(Family::ip6);
  for (const auto& [key, frontend] : controller.services.frontends()) {
    if (is_external(frontend.kind)) {
      (key.address.is_ip4() ? state.outside4 : state.outside6) = true;
    }
    if (frontend.kind == api::FrontendKind::node_port) {
      state.rules.ports.insert({key.protocol, key.port, {}});
    } else if (frontend.kind == api::FrontendKind::host_port) {
      state.rules.ports.insert({key.protocol, key.port, host_ip(controller, key)});
    } else {
      state.routes.insert(key.address);
    }
  }
  // Packets to the node's own addresses are the kernel's.
  for (const IpAddress& address : controller.services.node().addresses) {
    state.routes.erase(address);
  }
  return state;
}

void HostServices::update() {
  if (running_) {
    again_ = true;
    return;
  }
  if (wanted_ && *wanted_ == host_services(controller_)) return;
  refresh();
}

void HostServices::refresh() {
  if (controller_.host.key == 0 || std::exchange(running_, true)) return;
  asio::co_spawn(controller_.locks.loop(), apply(), asio::detached);
}

// The state is read when the work begins, so that what changed meanwhile is one more round.
Task<> HostServices::apply() {
  do {
    again_ = false;
    const HostServiceState state = host_services(controller_);
    const bool rules_changed =
        wanted_ ? wanted_->rules != state.rules : true;  // an earlier weir's may be there
    wanted_ = state;
    const HostLink host = controller_.host.link;
    const auto work = [host, state, rules_changed] {
      carry_out(host, state, rules_changed);
      return true;
    };
    co_await controller_.pool.run(work);
  } while (again_);
  running_ = false;
}

}  // namespace weir::control
