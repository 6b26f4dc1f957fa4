// Counters: each is written by one worker and read by the main thread.
//
// Thread safety: relaxed atomics; the single writer adds with a load and a store, so
// no locked instruction is on the fast path. Readers see values that never go back.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "dataplane/core/drop.h"

namespace weir::dataplane {

class Counter {
 public:
  void add(uint64_t n = 1) noexcept {
    // relaxed: a count alone, it publishes nothing else
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// One port's counters as one worker sees them.
struct alignas(64) PortCounterBlock {
  Counter rx_packets;
  Counter rx_bytes;
  Counter tx_packets;
  Counter tx_bytes;
  std::array<Counter, kDropCount> drops;

  void drop(Drop reason, uint64_t packets = 1) noexcept {
    drops[static_cast<size_t>(reason)].add(packets);
  }
};

}  // namespace weir::dataplane
