// Cycles per packet from one memif port to another: sending pod, device and receiving
// pod share a core, and only the device's time counts. `weir` runs all stages; `io` is
// DPDK's memif driver with testpmd's io loop. "cold": the lines that pods and device
// share are flushed to memory before the device runs, as far as they can be.
//   taskset -c 1 build/bench/memif/forward_cost --benchmark_enable_random_interleaving=true
// with --benchmark_repetitions=10 --benchmark_report_aggregates_only=true for medians.
#include <benchmark/benchmark.h>
#include <rte_eal.h>
#include <spdlog/spdlog.h>
#include <x86intrin.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "bench/memif/device.h"
#include "bench/memif/pods.h"

namespace weir::bench {

namespace {

using Make = std::unique_ptr<Device> (*)(const DeviceOptions&);

void forward(benchmark::State& state, Make make, DeviceOptions options, Load load) {
  options.directory = make_directory();
  const std::unique_ptr<Device> device = make(options);
  Pods pods(options.directory, [&] { device->pump(); }, load, options.log2_ring);
  uint64_t cycles = 0;
  uint64_t frames = 0;
  for (auto _ : state) {
    pods.send();
    const uint64_t start = __rdtsc();
    device->round();
    const uint64_t spent = __rdtsc() - start;
    cycles += spent;
    frames += pods.receive();
  }
  state.counters["cycles/packet"] = static_cast<double>(cycles) / static_cast<double>(frames);
  for (const auto& [part, cost] : device->costs()) state.counters[part] = cost;
  state.counters["lost"] = static_cast<double>(state.iterations() * load.batch - frames);
  std::filesystem::remove_all(options.directory);
}

void add(const std::string& row, const DeviceOptions& options, const Load& load) {
  for (const bool cold : {false, true}) {
    Load both = load;
    both.cold = cold;
    const std::string name = row + (cold ? "/cold" : "/warm");
    benchmark::RegisterBenchmark(("weir/" + name).c_str(), forward, make_weir, options, both);
    if (options.routes == 0 && load.destinations == 1 && options.pods == 2 && load.frame <= 2048)
      benchmark::RegisterBenchmark(("io/" + name).c_str(), forward, make_io, options, both);
  }
}

void add_rows() {
  add("64", {}, {});
  add("64/batch8", {}, {.batch = 8});
  add("128", {}, {.frame = 124});
  add("1518", {}, {.frame = 1514});
  add("9014", {.mtu = 9000}, {.frame = 9014});
  add("64/110 pods", {.pods = 110}, {});
  add("64/1M routes", {.routes = 1'000'000}, {.destinations = 1'000'000});
}

void start_eal() {
  static std::array<std::string, 8> texts{"forward_cost", "--no-huge", "-m512", "--no-pci", "--no-telemetry",
                                          "--no-shconf", "--lcores=0", "--log-level=*:error"};
  static std::array<char*, texts.size()> arguments;
  for (size_t i = 0; i < texts.size(); ++i) arguments[i] = texts[i].data();
  if (rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) >= 0) return;
  std::fprintf(stderr, "forward_cost: DPDK does not start\n");
  std::exit(1);
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  weir::bench::start_eal();
  spdlog::set_level(spdlog::level::warn);
  benchmark::Initialize(&argc, argv);
  weir::bench::add_rows();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
