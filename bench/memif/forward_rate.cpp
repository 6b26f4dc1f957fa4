// Packets per second from one memif port to another with the device on its own core: core 1
// runs the device, core 0 both pods. weir and DPDK's io loop take turns (A B B A) in short
// trials, and the ratios of neighbours are what counts: rates move with the machine.
//   build/bench/memif/forward_rate [pairs of trials, default 20]
#include <pthread.h>
#include <rte_eal.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>
#include <vector>

#include "bench/memif/device.h"
#include "bench/memif/pods.h"

namespace weir::bench {

std::string socket_of(const std::string& directory, unsigned pod) {
  return directory + "/" + std::to_string(pod) + ".sock";
}

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kTrial = std::chrono::milliseconds(200);

void pin(unsigned core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

class Side {
 public:
  Side(std::unique_ptr<Device> (*make)(const DeviceOptions&), const DeviceOptions& options, const Load& load)
      : device_(make(options)), pods_(options.directory, [this] { device_->pump(); }, load, options.log2_ring) {}

  // Mpps over one trial.
  double trial() {
    std::atomic<bool> stop{false};
    std::thread worker([&] {
      pin(1);
      while (!stop.load(std::memory_order_relaxed)) device_->round();
    });
    const auto run = [&](Clock::duration length) {
      uint64_t frames = 0;
      const auto start = Clock::now();
      while (Clock::now() - start < length) {
        for (int i = 0; i < 16; ++i) {
          pods_.send();
          frames += pods_.receive();
        }
      }
      return static_cast<double>(frames) / std::chrono::duration<double, std::micro>(Clock::now() - start).count();
    };
    run(kTrial / 4);
    const double rate = run(kTrial);
    stop = true;
    worker.join();
    return rate;
  }

 private:
  std::unique_ptr<Device> device_;
  Pods pods_;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void compare(const char* row, const DeviceOptions& base, const Load& load, unsigned pairs) {
  std::array<std::string, 2> directories;
  for (std::string& directory : directories) {
    directory = (std::filesystem::temp_directory_path() / "weir-bench-XXXXXX").string();
    if (mkdtemp(directory.data()) == nullptr) std::exit(1);
  }
  DeviceOptions options = base;
  options.directory = directories[0];
  Side weir(make_weir, options, load);
  options.directory = directories[1];
  Side io(make_io, options, load);
  std::vector<double> ratios;
  std::vector<double> ours;
  std::vector<double> theirs;
  for (unsigned i = 0; i < pairs; ++i) {
    const bool first = i % 2 == 0;
    const double a = first ? weir.trial() : io.trial();
    const double b = first ? io.trial() : weir.trial();
    ours.push_back(first ? a : b);
    theirs.push_back(first ? b : a);
    ratios.push_back(ours.back() / theirs.back());
  }
  std::sort(ratios.begin(), ratios.end());
  std::printf("%-10s weir %.2f Mpps, io %.2f Mpps, ratio %.3f (quartiles %.3f..%.3f, n %u)\n", row, median(ours),
              median(theirs), median(ratios), ratios[ratios.size() / 4], ratios[ratios.size() * 3 / 4], pairs);
  for (const std::string& directory : directories) std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  using namespace weir::bench;
  std::array<std::string, 8> texts{"forward_rate", "--no-huge",   "-m512",      "--no-pci",
                                   "--no-telemetry", "--no-shconf", "--lcores=0", "--log-level=*:error"};
  std::array<char*, texts.size()> arguments;
  for (size_t i = 0; i < texts.size(); ++i) arguments[i] = texts[i].data();
  if (rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) < 0) return 1;
  spdlog::set_level(spdlog::level::warn);
  pin(0);
  const auto pairs = static_cast<unsigned>(argc > 1 ? std::atoi(argv[1]) : 20);
  compare("64 B", {}, {}, pairs);
  compare("64 B, 1M", {.routes = 1'000'000}, {}, pairs);
  compare("1518 B", {}, {.frame = 1514}, pairs);
}
