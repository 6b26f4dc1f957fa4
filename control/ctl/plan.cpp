#include "control/ctl/plan.h"

#include "control/ctl/table.h"

namespace weir::ctl {

namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kHugepage = 2 * kMiB;
constexpr uint64_t kBase = 96 * kMiB;          // programs, tables, DPDK's own
constexpr uint64_t kPort = 24 * 1024;          // port, lease, routes, attachment
constexpr uint64_t kPortAndWorker = 4 * 1024;  // counters
constexpr uint64_t kEthernetHeader = 14;
constexpr uint64_t kRingHeader = 64;  // memif protocol 2.0
constexpr uint64_t kDescriptor = 16;

uint64_t divide_up(uint64_t value, uint64_t by) { return (value + by - 1) / by; }

// A ring and its buffers, as DPDK's net_memif and libmemif lay them out.
uint64_t queue_bytes(const PlanInput& input) {
  return kRingHeader + uint64_t{input.ring} * (kDescriptor + input.buffer);
}

}  // namespace

Plan make_plan(const config::Config& config, const PlanInput& input) {
  Plan plan{.input = input};
  const uint64_t queues = uint64_t{input.memif} * input.queues * 2;
  plan.workers = config.dataplane.workers.size();
  if (config.dataplane.hugepages != config::Hugepages::off) {
    plan.hugepages = divide_up(config.dataplane.memory_mib * kMiB, kHugepage);
  }
  plan.hugepage_bytes = plan.hugepages * kHugepage;
  plan.buffers_per_frame = divide_up(input.mtu + kEthernetHeader, input.buffer);
  plan.buffers = queues * input.ring;
  plan.region_bytes = queues * queue_bytes(input);
  plan.port_bytes = input.pods * (kPort + plan.workers * kPortAndWorker);
  plan.base_bytes = kBase;
  if (plan.hugepages == 0) plan.base_bytes += config.dataplane.memory_mib * kMiB;
  plan.memory_bytes = plan.base_bytes + plan.port_bytes + plan.region_bytes;
  plan.max_pods = config.network.max_pods;
  return plan;
}

Json plan_json(const Plan& plan) {
  return {{"pods", plan.input.pods},
          {"memif_pods", plan.input.memif},
          {"mtu", plan.input.mtu},
          {"workers", plan.workers},
          {"hugepages_2m", plan.hugepages},
          {"hugepage_bytes", json_u64(plan.hugepage_bytes)},
          {"memif_buffers", json_u64(plan.buffers)},
          {"memif_buffers_per_frame", plan.buffers_per_frame},
          {"memif_region_bytes", json_u64(plan.region_bytes)},
          {"port_bytes", json_u64(plan.port_bytes)},
          {"base_bytes", json_u64(plan.base_bytes)},
          {"memory_bytes", json_u64(plan.memory_bytes)},
          {"max_pods", plan.max_pods},
          {"admitted", plan.input.pods <= plan.max_pods}};
}

std::string plan_text(const Plan& plan) {
  Fields fields;
  fields.add("pods", std::to_string(plan.input.pods) + ", " + std::to_string(plan.input.memif) +
                         " of them memif");
  fields.add("hugepages",
             std::to_string(plan.hugepages) + " of 2 MiB (" + byte_size(plan.hugepage_bytes) + ")");
  fields.add("memif buffers", std::to_string(plan.buffers) + ", " +
                                  std::to_string(plan.buffers_per_frame) + " for a frame of MTU " +
                                  std::to_string(plan.input.mtu));
  fields.add("memif regions", byte_size(plan.region_bytes));
  fields.add("ports", byte_size(plan.port_bytes));
  fields.add("daemons", byte_size(plan.base_bytes));
  fields.add("memory", byte_size(plan.memory_bytes) + " besides hugepages");
  fields.add("admission", plan.input.pods <= plan.max_pods
                              ? "within network.max_pods (" + std::to_string(plan.max_pods) + ")"
                              : "set network.max_pods, which is " + std::to_string(plan.max_pods) +
                                    ", to " + std::to_string(plan.input.pods) + " at least");
  return fields.text();
}

}  // namespace weir::ctl
