#include "bench/traffic/routes.h"

#include <algorithm>
#include <chrono>
#include <span>
#include <thread>
#include <vector>

#include "bench/traffic/prefixes.h"
#include "dataplane/api/client.h"

namespace weir::bench {

namespace {

using Clock = std::chrono::steady_clock;

constexpr double kTick = 0.01;  // seconds

std::vector<api::Route> make_routes(const RouteOptions& options, const IpAddress& gateway) {
  std::vector<api::Route> routes;
  for (const IpPrefix& prefix : random_prefixes(gateway.family, options.count)) {
    routes.push_back({.prefix = prefix, .kind = api::RouteKind::gateway, .gateway = gateway});
  }
  return routes;
}

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Each route goes and comes back, so the table keeps its size and shape.
Result<RouteReport> churn(api::Client& client, const RouteOptions& options,
                          std::span<const api::Route> routes) {
  RouteReport report;
  const size_t batch =
      std::clamp<size_t>(static_cast<size_t>(options.churn_rate * kTick / 2), 1, routes.size());
  const auto start = Clock::now();
  for (size_t at = 0; since(start) < options.churn_seconds;
       at = at + batch < routes.size() ? at + batch : 0) {
    const auto some = routes.subspan(at, std::min(batch, routes.size() - at));
    if (Status status = client.route_delete(some); !status) return status.error();
    if (Status status = client.route_set(some); !status) return status.error();
    report.changes += 2 * some.size();
    const double next = static_cast<double>(report.changes) / options.churn_rate;
    std::this_thread::sleep_until(
        start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(next)));
  }
  report.seconds = since(start);
  return report;
}

}  // namespace

Result<RouteReport> change_routes(const RouteOptions& options) {
  const auto gateway = parse_address(options.gateway);
  if (!gateway) return {ErrorCode::invalid_argument, "'" + options.gateway + "' is no address."};
  auto client = api::Client::connect(options.socket, "weir-bench", std::chrono::seconds(60));
  if (!client) return client.error();
  const auto routes = make_routes(options, *gateway);
  const auto start = Clock::now();
  if (Status status = client->route_set(routes); !status) return status.error();
  if (options.churn_rate > 0) return churn(*client, options, routes);
  return RouteReport{routes.size(), since(start)};
}

}  // namespace weir::bench
