// Routes of random_prefixes() in a running weir-dataplane, set over its API.
#pragma once

#include <string>

#include "dataplane/api/error.h"

namespace weir::bench {

struct RouteOptions {
  std::string socket;   // dataplane.sock
  std::string gateway;  // a pod's address: the routes lead to its port
  uint32_t count = 1;
  double churn_rate = 0;  // changes a second once all are set
  double churn_seconds = 1;
};

struct RouteReport {
  uint64_t changes = 0;  // of the churn, or of the loading when there was none
  double seconds = 0;
};

// Loads the routes; then, if asked to, deletes and sets them again one after the other at
// the given rate, in batches of a hundredth of a second.
Result<RouteReport> change_routes(const RouteOptions& options);

}  // namespace weir::bench
