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

using RouteCall = Status (api::Client::*)(std::span<const api::Route>);

// All in a few messages; one by one only where one is refused, to find which.
Status send_each(api::Client& client, RouteCall call, std::span<const api::Route> routes,
                 RouteReport& report) {
  if ((client.*call)(routes)) {
    report.applied += routes.size();
    return {};
  }
  for (size_t i = 0; i < routes.size(); ++i) {
    const Status sent = (client.*call)(routes.subspan(i, 1));
    if (sent) {
      ++report.applied;
      continue;
    }
    if (is_broken(sent.error(), client)) return sent;
    report.failed.push_back(
        {sent.error().code, to_string(routes[i].prefix) + ": " + sent.error().text});
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

Result<RouteReport> send_routes(api::Client& client, std::span<const api::Route> set,
                                std::span<const api::Route> gone) {
  RouteReport report;
  Status sent = send_each(client, &api::Client::route_set, set, report);
  if (sent) sent = send_each(client, &api::Client::route_delete, gone, report);
  if (!sent) return sent.error();
  return report;
}

Result<ReplayReport> replay(api::Client& client, const ReplayPlan& plan) {
  ReplayReport report{.generation = plan.generation};
  const Result<api::Replay> begun = client.replay_begin(plan.generation);
  if (!begun) return begun.error();
  if (const Status uplinks = replay_uplinks(client, plan, report); !uplinks) return uplinks.error();
  if (const Status ports = replay_ports(client, plan, report); !ports) return ports.error();
  Result<RouteReport> routes = send_routes(client, plan.routes, {});
  if (!routes) return routes.error();
  report.routes = *std::move(routes);
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
