// Time of a benchmark's own thread.
#pragma once

#include <time.h>
#include <x86intrin.h>

#include <chrono>
#include <cstdint>

namespace weir::dataplane {

// CPU time of this thread, so that other load on the machine does not count.
class Meter {
 public:
  double nanoseconds() const { return cpu_now() - cpu_; }
  // TSC cycles that the CPU time would be.
  double cycles() const {
    const std::chrono::duration<double, std::nano> wall = std::chrono::steady_clock::now() - wall_;
    return nanoseconds() * static_cast<double>(__rdtsc() - tsc_) / wall.count();
  }

 private:
  static double cpu_now() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
  }
  double cpu_ = cpu_now();
  std::chrono::steady_clock::time_point wall_ = std::chrono::steady_clock::now();
  uint64_t tsc_ = __rdtsc();
};

}  // namespace weir::dataplane
