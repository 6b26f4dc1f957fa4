// A token bucket in bytes that several workers share: how much one port may send or get.
//
// Thread safety: take() from any worker, no lock. The rest before it is published.
// Invariant: `full_at_` is the TSC at which the bucket will be full again; a bucket that
// was full for long has it in the past.
// Source: ITU-T I.371 generic cell rate algorithm, in bytes.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "dataplane/api/protocol.h"
#include "dataplane/core/packet.h"

namespace weir::dataplane {

class Policer {
 public:
  // bit/s and bits; a rate of 0 lets everything pass.
  Policer(uint64_t rate, uint64_t burst, uint64_t tsc_hz) noexcept
      : cost_(rate == 0 ? 0 : (uint128{tsc_hz} * 8 << kShift) / rate),
        depth_(cycles_of(std::max<uint64_t>(burst / 8, kMaxFrame))) {}

  // True: `bytes` fit. Bytes that do not fit cost nothing.
  bool take(uint64_t now, uint32_t bytes) noexcept {
    const uint64_t cost = cycles_of(bytes);
    // relaxed: the number alone is shared, it publishes nothing
    uint64_t full_at = full_at_.load(std::memory_order_relaxed);
    uint64_t next = 0;
    do {
      next = std::max(full_at, now) + cost;
      if (next - now > depth_) return false;
    } while (!full_at_.compare_exchange_weak(full_at, next, std::memory_order_relaxed));
    return true;
  }

 private:
  using uint128 = unsigned __int128;
  static constexpr unsigned kShift = 20;  // below one cycle a byte, from 16 Gbit/s on

  uint64_t cycles_of(uint64_t bytes) const noexcept {
    const uint128 cycles = cost_ * bytes >> kShift;
    return static_cast<uint64_t>(std::min<uint128>(cycles, UINT64_MAX / 4));
  }

  uint128 cost_;    // cycles a byte, times 2^kShift
  uint64_t depth_;  // cycles that the burst is worth
  std::atomic<uint64_t> full_at_{0};
};

// Both directions of a port; rx is what it sends to weir.
struct PortPolicers {
  Policer rx;
  Policer tx;

  PortPolicers(const api::PortLimits& limits, uint64_t tsc_hz) noexcept
      : rx(limits.rx_rate, limits.rx_burst, tsc_hz), tx(limits.tx_rate, limits.tx_burst, tsc_hz) {}
};

}  // namespace weir::dataplane
