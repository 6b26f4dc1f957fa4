// Metric families out of the dataplane's answers and the store.
#pragma once

#include <prometheus/metric_family.h>

#include <optional>
#include <string>
#include <vector>

#include "dataplane/api/protocol.h"

namespace weir::control {

struct DataplaneNumbers {
  api::DataplaneStatus status;
  std::vector<api::PortState> ports;
  std::vector<api::WorkerState> workers;
  std::vector<api::DropCounter> drops;
  api::ConnectionStats connections;
};

struct ControlNumbers {
  struct Pool {
    std::string ranges;
    uint64_t size = 0;
    uint64_t taken = 0;
  };
  uint64_t attachments = 0;
  std::vector<Pool> pools;
};

using Families = std::vector<prometheus::MetricFamily>;

// An absent part leaves its families out; weir_dataplane_up says which is the case.
Families make_families(const std::optional<DataplaneNumbers>& dataplane,
                       const std::optional<ControlNumbers>& control);

}  // namespace weir::control
