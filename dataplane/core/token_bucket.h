// A token bucket on the TSC. Owner: one worker.
#pragma once

#include <algorithm>
#include <cstdint>

namespace weir::dataplane {

struct TokenBucket {
  uint64_t last = 0;    // TSC of the last refill
  uint64_t credit = 0;  // in cycles: one token costs `cost` cycles

  // Takes one token if there is one. `cost`: cycles per token; `burst`: tokens at most.
  bool take(uint64_t now, uint64_t cost, uint64_t burst) noexcept {
    credit = std::min(credit + (now - last), cost * burst);
    last = now;
    if (credit < cost) return false;
    credit -= cost;
    return true;
  }
};

}  // namespace weir::dataplane
