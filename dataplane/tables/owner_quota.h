// How many connections each port has opened, so that one pod cannot fill the table.
//
// Thread safety: charge and refund by any thread; forget by the main thread.
// Invariants: a port number that was forgotten starts at zero; connections from before it
// carry an older epoch and are not counted back.
#pragma once

#include <atomic>
#include <memory>
#include <optional>

#include "dataplane/tables/connection.h"

namespace weir::dataplane {

class OwnerQuota {
 public:
  explicit OwnerQuota(uint32_t limit)
      : limit_(limit), owners_(std::make_unique<std::atomic<uint64_t>[]>(kNoOwner)) {}

  // relaxed throughout: counts publish nothing else.
  void set_limit(uint32_t limit) noexcept { limit_.store(limit, std::memory_order_relaxed); }

  // The epoch to refund with; nullopt when the port has its share.
  std::optional<uint16_t> charge(uint16_t owner) noexcept {
    const uint32_t limit = limit_.load(std::memory_order_relaxed);
    uint64_t word = owners_[owner].load(std::memory_order_relaxed);
    do {
      if (count(word) >= limit) return std::nullopt;
    } while (!owners_[owner].compare_exchange_weak(word, word + 1, std::memory_order_relaxed));
    return epoch(word);
  }
  void refund(uint16_t owner, uint16_t charged_in) noexcept {
    uint64_t word = owners_[owner].load(std::memory_order_relaxed);
    do {
      if (epoch(word) != charged_in) return;
    } while (!owners_[owner].compare_exchange_weak(word, word - 1, std::memory_order_relaxed));
  }
  void forget(uint16_t owner) noexcept {
    uint64_t word = owners_[owner].load(std::memory_order_relaxed);
    while (!owners_[owner].compare_exchange_weak(word, ((word >> 32) + 1) << 32,
                                                 std::memory_order_relaxed)) {
    }
  }
  bool is_current(uint16_t owner, uint16_t charged_in) const noexcept {
    return epoch(owners_[owner].load(std::memory_order_relaxed)) == charged_in;
  }
  bool has_room(uint16_t owner) const noexcept {
    return used(owner) < limit_.load(std::memory_order_relaxed);
  }
  uint32_t used(uint16_t owner) const noexcept {
    return count(owners_[owner].load(std::memory_order_relaxed));
  }

 private:
  // A word: epoch above, count below.
  static uint32_t count(uint64_t word) noexcept { return static_cast<uint32_t>(word); }
  static uint16_t epoch(uint64_t word) noexcept { return static_cast<uint16_t>(word >> 32); }

  std::atomic<uint32_t> limit_;
  std::unique_ptr<std::atomic<uint64_t>[]> owners_;
};

}  // namespace weir::dataplane
