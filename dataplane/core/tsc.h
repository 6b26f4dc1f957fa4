// The time stamp counter: cheap time for workers.
#pragma once

#include <x86intrin.h>

#include <cstdint>

namespace weir::dataplane {

inline uint64_t tsc() noexcept { return __rdtsc(); }

// Measured against CLOCK_MONOTONIC on the first call (about 20 ms), then constant.
uint64_t tsc_hz();

}  // namespace weir::dataplane
