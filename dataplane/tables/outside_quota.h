// How many connections hosts outside have opened, all together and each, so that neither a
// flood from outside fills the table nor one host takes what there is for all of them. A host
// may have as many as are still free for everybody: alone it gets half, two get a third each,
// and whoever comes next finds room.
//
// Thread safety: any thread. Workers that charge at once may pass a bound by one each.
// Invariant: hosts share counters by a hash, so memory is bounded; with a secret seed nobody
// chooses whom to share one with.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

namespace weir::dataplane {

class OutsideQuota {
 public:
  enum class Verdict : uint8_t { room, all_full, host_full };

  // relaxed throughout: counts publish nothing else. Without bound at first.
  void set_limit(uint32_t limit) noexcept { limit_.store(limit, std::memory_order_relaxed); }

  // `host`: number of its counter.
  Verdict look(uint16_t host) const noexcept {
    const uint32_t limit = limit_.load(std::memory_order_relaxed);
    const uint32_t all = all_.load(std::memory_order_relaxed);
    if (all >= limit) return Verdict::all_full;
    const bool has_room = hosts_[host].load(std::memory_order_relaxed) < limit - all;
    return has_room ? Verdict::room : Verdict::host_full;
  }
  // Counts when there is room.
  Verdict charge(uint16_t host) noexcept {
    const Verdict verdict = look(host);
    if (verdict != Verdict::room) return verdict;
    all_.fetch_add(1, std::memory_order_relaxed);
    hosts_[host].fetch_add(1, std::memory_order_relaxed);
    return verdict;
  }
  void refund(uint16_t host) noexcept {
    hosts_[host].fetch_sub(1, std::memory_order_relaxed);
    all_.fetch_sub(1, std::memory_order_relaxed);
  }

 private:
  static constexpr uint32_t kHosts = UINT16_MAX + 1;

  std::atomic<uint32_t> limit_{UINT32_MAX};
  std::atomic<uint32_t> all_{0};
  std::unique_ptr<std::atomic<uint32_t>[]> hosts_ =
      std::make_unique<std::atomic<uint32_t>[]>(kHosts);
};

}  // namespace weir::dataplane
