// What weir-control wants the dataplane to have, whole: sent after every (re)connect.
#pragma once

#include <functional>
#include <vector>

#include "control/dataplane/service_plan.h"
#include "dataplane/api/client.h"

namespace weir::control {

struct ReplayPort {
  api::PortConfig config;
  api::PortLimits limits;  // without key
  // Opens the port's tap; asked only when the dataplane does not have it. Empty for
  // kinds without a tap. Called on the session's thread.
  std::function<Result<api::Fd>()> open_tap;
  // The tap may have been made anew while the dataplane was connected to the old one:
  // hand it over unless it is in use.
  bool tap_first = false;
};

struct ReplayPlan {
  uint64_t generation = 0;
  std::vector<api::UplinkConfig> uplinks;
  std::vector<ReplayPort> ports;
  std::vector<api::Route> routes;
  ServicePlan services;
};

struct RouteReport {
  size_t applied = 0;
  std::vector<Error> failed;  // one that is refused does not stop the rest
};

struct ReplayReport {
  struct Failure {
    uint64_t port_key = 0;
    Error error;
  };
  uint64_t generation = 0;
  size_t ports = 0;  // set
  uint32_t ports_swept = 0;
  uint32_t routes_swept = 0;
  std::vector<Failure> failed_ports;
  RouteReport routes;
  ServiceReport services;
};

// Sets one port: first without a tap, so that a dataplane that has the port keeps its
// own, then with the tap opened anew.
Result<api::PortState> set_port(api::Client& client, const ReplayPort& port);

// An error here means that the connection is of no use any more.
Result<RouteReport> send_routes(api::Client& client, std::span<const api::Route> set,
                                std::span<const api::Route> gone);

// The whole plan. A port or a route that is refused does not stop the rest; an error
// here means that the connection is of no use any more.
Result<ReplayReport> replay(api::Client& client, const ReplayPlan& plan);

// Whether an answer says that the connection, not the request, failed.
bool is_broken(const Error& error, api::Client& client);

}  // namespace weir::control
