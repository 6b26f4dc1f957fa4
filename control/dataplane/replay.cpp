#include "control/dataplane/replay.h"

namespace weir::control {

namespace {

Status replay_ports(api::Client& client, const ReplayPlan& plan, ReplayReport& report) {
  for (const ReplayPort& port : plan.ports) {
    const Result<api::PortState> set = set_port(client, port);
    if (set) {
      ++report.ports;
      continue;
    }
    if (is_broken(set.error(), client)) return set.error();
    report.failed_ports.push_back({port.config.key, set.error()});
  }
  return {};
}

Status replay_uplinks(api::Client& client, const ReplayPlan& plan, ReplayReport& report) {
  for (const api::UplinkConfig& uplink : plan.uplinks) {
    const Result<api::PortState> set = client.uplink_set(uplink);
    if (set) {
      ++report.ports;
      continue;
    }
    if (is_broken(set.error(), client)) return set.error();
    report.failed_ports.push_back({uplink.key, set.error()});
  }
  return {};
}

// All in a few messages; one by one only where one is refused, to find which.
Status replay_routes(api::Client& client, const ReplayPlan& plan, ReplayReport& report) {
  const Status all = client.route_set(plan.routes);
  if (all) {
    report.routes = plan.routes.size();
    return {};
  }
  for (const api::Route& route : plan.routes) {
    const Status set = client.route_set(std::span(&route, 1));
    if (set) {
      ++report.routes;
      continue;
    }
    if (is_broken(set.error(), client)) return set;
    report.failed_routes.push_back(
        {set.error().code, to_string(route.prefix) + ": " + set.error().text});
  }
  return {};
}

Result<api::PortState> set_with_tap(api::Client& client, const ReplayPort& port) {
  if (port.tap_first) {
    const Result<api::Fd> tap = port.open_tap();
    if (tap) return client.port_set(port.config, tap->get());
    if (tap.error().code != ErrorCode::busy) return tap.error();
  }
  Result<api::PortState> kept = client.port_set(port.config);
  if (kept || kept.error().code != ErrorCode::not_found || !port.open_tap) return kept;
  const Result<api::Fd> tap = port.open_tap();
  if (!tap) return tap.error();
  return client.port_set(port.config, tap->get());
}

}  // namespace

Result<api::PortState> set_port(api::Client& client, const ReplayPort& port) {
  Result<api::PortState> set = set_with_tap(client, port);
  if (!set || !port.limits.any()) return set;
  api::PortLimits limits = port.limits;
  limits.key = port.config.key;
  if (const Status limited = client.port_limit(limits); !limited) return limited.error();
  return set;
}

Result<ReplayReport> replay(api::Client& client, const ReplayPlan& plan) {
  ReplayReport report{.generation = plan.generation};
  const Result<api::Replay> begun = client.replay_begin(plan.generation);
  if (!begun) return begun.error();
  if (const Status uplinks = replay_uplinks(client, plan, report); !uplinks) return uplinks.error();
  if (const Status ports = replay_ports(client, plan, report); !ports) return ports.error();
  if (const Status routes = replay_routes(client, plan, report); !routes) return routes.error();
  Result<ServiceReport> services = send_services(client, plan.services);
  if (!services) return services.error();
  report.services = *std::move(services);
  const Result<api::Replay> ended = client.replay_end(plan.generation);
  if (!ended) return ended.error();
  report.ports_swept = ended->ports_swept;
  report.routes_swept = ended->routes_swept;
  return report;
}

bool is_broken(const Error& error, api::Client& client) {
  switch (error.code) {
    case ErrorCode::timeout:
    case ErrorCode::version: return true;
    // May be the connection's or the dataplane's own: ask.
    case ErrorCode::io:
    case ErrorCode::unavailable:
    case ErrorCode::invalid_argument: return !client.status();
    default: return false;
  }
}

}  // namespace weir::control
