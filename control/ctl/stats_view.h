// The one page about a node's load. Two snapshots in, text or JSON out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "control/ctl/text.h"
#include "dataplane/api/protocol.h"

namespace weir::ctl {

struct StatsSnapshot {
  uint64_t nanoseconds = 0;  // when it was taken, on a clock that never steps
  std::vector<api::PortState> ports;
  std::vector<api::WorkerState> workers;
  std::vector<api::DropCounter> drops;
};

// Rates are between the snapshots; all are 0 when both are of one time. A counter
// that went back (its port or the dataplane was restarted) has rate 0.
std::string stats_text(const StatsSnapshot& before, const StatsSnapshot& after);
Json stats_json(const StatsSnapshot& before, const StatsSnapshot& after);

}  // namespace weir::ctl
