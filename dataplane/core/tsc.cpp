#include "dataplane/core/tsc.h"

#include <chrono>

namespace weir::dataplane {

namespace {

uint64_t measure() {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  const uint64_t first = tsc();
  Clock::time_point now = start;
  while (now - start < std::chrono::milliseconds(20)) now = Clock::now();
  const std::chrono::duration<double> seconds = now - start;
  return static_cast<uint64_t>(static_cast<double>(tsc() - first) / seconds.count());
}

}  // namespace

uint64_t tsc_hz() {
  static const uint64_t hz = measure();
  return hz;
}

}  // namespace weir::dataplane
