// What workers read of a forwarding table: entries and inner nodes.
//
// An entry is 32 bits: 0 = inherit what covers the slot, bit 31 clear = an adjacency
// index, bit 31 set = a child node with its place and what is needed to step into it.
// A node decides 8 address bits. Its 256 slots are stored as runs of equal entries: a bit
// marks each slot where a run starts, so the entry's place is a population count.
//
// Thread safety: runs, rank and skip are immutable from publication until a grace period
// after the node was unlinked. fallback and the entries are atomics that the main thread
// alone changes in place, with release; workers load with acquire, as an entry publishes
// the node or the adjacency it names.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace weir::dataplane {

using FibWord = std::atomic<uint32_t>;

namespace fib_entry {

inline constexpr uint32_t kChild = 1U << 31;
inline constexpr uint32_t kDirect = 1U << 30;  // entries are indexed by slot, not by run
inline constexpr unsigned kSkipShift = 27;     // 3 bits: address bytes to compare first
inline constexpr unsigned kMaxSkip = 7;
inline constexpr uint32_t kIndexMask = (1U << kSkipShift) - 1;  // in cells

constexpr bool is_child(uint32_t entry) noexcept { return (entry & kChild) != 0; }
constexpr bool is_direct(uint32_t entry) noexcept { return (entry & kDirect) != 0; }
constexpr unsigned skip(uint32_t entry) noexcept { return entry >> kSkipShift & kMaxSkip; }
constexpr uint32_t index(uint32_t entry) noexcept { return entry & kIndexMask; }
constexpr uint32_t make(uint32_t index, unsigned skip, bool direct) noexcept {
  return kChild | (direct ? kDirect : 0) | skip << kSkipShift | index;
}

}  // namespace fib_entry

// One cell: a cache line. Entries run on into the cells that follow.
struct alignas(64) FibNode {
  uint64_t runs[4];  // bit s: a run starts at slot s; slot 0 always does
  FibWord fallback;  // the parent's own entry where this node hangs, 0 = none
  uint8_t rank[4];   // runs that start before slots 0, 64, 128, 192
  uint64_t skip;     // bytes to compare, the first in the highest 8 bits
  FibWord first[4];  // the first entries; see entries()

  static constexpr unsigned kFirstEntries = 4;

  FibWord* entries() noexcept {
    return reinterpret_cast<FibWord*>(reinterpret_cast<std::byte*>(this) +
                                      offsetof(FibNode, first));
  }
  const FibWord* entries() const noexcept { return const_cast<FibNode*>(this)->entries(); }

  unsigned run_of(unsigned slot) const noexcept {
    const unsigned word = slot / 64;
    return rank[word] + static_cast<unsigned>(std::popcount(runs[word] << (63 - slot % 64))) - 1;
  }
  const FibWord& entry(unsigned slot, bool direct) const noexcept {
    return entries()[direct ? slot : run_of(slot)];
  }
};
static_assert(sizeof(FibNode) == 64 && offsetof(FibNode, first) == 48 &&
              FibWord::is_always_lock_free);

// What changes under readers besides the nodes. Both on one line: read together.
struct alignas(64) FibLive {
  // Grows with every change of the table, before its first store. A reader that took
  // "inherit" from one word and the inherited entry from another looks whether it is
  // still the same: then at most one change overlapped and the answer is right.
  std::atomic<uint64_t> version{0};
  FibWord default_entry{0};  // prefix length 0
};

}  // namespace weir::dataplane
