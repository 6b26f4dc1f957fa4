// What a number of pods takes of a node. Figures of the dataplane that its API does not
// tell are upper bounds here; tests/e2e/test_plan.py holds them against a running one.
#pragma once

#include <cstdint>

#include "config/config.h"
#include "control/ctl/text.h"

namespace weir::ctl {

struct PlanInput {
  uint32_t pods = 0;       // all of them
  uint32_t memif = 0;      // of these, those with memif ports
  uint16_t mtu = 0;        // L3 bytes
  uint32_t ring = 1024;    // descriptors of a memif ring
  uint32_t buffer = 2048;  // bytes of a memif buffer
  uint32_t queues = 1;     // per direction
};

struct Plan {
  PlanInput input;
  uint64_t workers = 0;
  uint64_t hugepages = 0;  // of 2 MiB, to reserve for weir-dataplane
  uint64_t hugepage_bytes = 0;
  uint64_t buffers_per_frame = 0;  // memif buffers that a frame of the MTU fills
  uint64_t buffers = 0;            // memif buffers of all pods
  uint64_t region_bytes = 0;       // memif memory of all pods, charged to who touches it first
  uint64_t port_bytes = 0;         // weir-dataplane's own memory for all ports
  uint64_t base_bytes = 0;         // both daemons without pods
  uint64_t memory_bytes = 0;       // all but hugepages
  uint32_t max_pods = 0;           // what the configuration admits
};

Plan make_plan(const config::Config& config, const PlanInput& input);

Json plan_json(const Plan& plan);
std::string plan_text(const Plan& plan);

}  // namespace weir::ctl
