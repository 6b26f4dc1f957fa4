// What benchmarks of stages have in common: one run of the pipeline, and what they report.
#pragma once

#include <benchmark/benchmark.h>
#include <x86intrin.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/dataplane/lab.h"

namespace weir::bench {

// TSC cycles of all stages for what waits in the lab's vector, which is empty afterwards.
inline uint64_t run_vector(dataplane::test::Lab& lab) {
  using dataplane::Next;
  const uint64_t start = __rdtsc();
  dataplane::run_pipeline<false>(lab.vector(), lab.context(), lab.counters(), nullptr);
  const uint64_t cycles = __rdtsc() - start;
  lab.vector().queue(Next::tx).count = 0;
  settle(lab.vector(), lab.context());
  return cycles;
}

// Cycles per packet of each stage and of all.
inline void report_stages(benchmark::State& state, const dataplane::PipelineCounters& counters,
                          uint64_t cycles, uint64_t packets) {
  for (size_t i = 0; i < dataplane::kStageCount; ++i) {
    const auto seen = static_cast<double>(counters[i].packets.get());
    if (seen == 0) continue;
    state.counters[std::string(dataplane::kStageNames[i])] =
        static_cast<double>(counters[i].cycles.get()) / seen;
  }
  state.counters["cycles/packet"] = static_cast<double>(cycles) / static_cast<double>(packets);
  state.SetItemsProcessed(static_cast<int64_t>(packets));
  state.SetLabel("cache-warm");
}

// Cycles of vectors; their median tells little of what else ran on the core.
class VectorCycles {
 public:
  void add(uint64_t cycles) { cycles_.push_back(cycles); }
  double median() {
    if (cycles_.empty()) return 0;
    const auto middle = cycles_.begin() + static_cast<ptrdiff_t>(cycles_.size() / 2);
    std::nth_element(cycles_.begin(), middle, cycles_.end());
    return static_cast<double>(*middle);
  }

 private:
  std::vector<uint64_t> cycles_;
};

}  // namespace weir::bench
