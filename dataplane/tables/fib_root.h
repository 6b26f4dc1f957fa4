// The first level of a forwarding table: one entry for each value of the first 24
// address bits, and the prefixes of length 1 to 24.
//
// Thread safety: workers read entries() (fib_node.h says how). All else: main thread.
// A prefix that covers several slots is set or erased slot by slot, each by one store.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "dataplane/tables/fib_arena.h"
#include "dataplane/tables/fib_node.h"
#include "dataplane/tables/table_memory.h"

namespace weir::dataplane {

class FibRoot {
 public:
  static constexpr unsigned kBits = 24;
  static constexpr uint32_t kSlots = 1U << kBits;

  explicit FibRoot(int numa_node);

  const FibWord* entries() const noexcept { return slots_; }
  // To change it, call touch() first. Counting children is up to the caller.
  FibWord& slot(uint32_t index) noexcept { return slots_[index]; }
  void touch(uint32_t first, uint32_t count) {
    slot_memory_.touch(size_t{first} * sizeof(FibWord), size_t{count} * sizeof(FibWord));
  }
  void child_added(uint32_t slot) noexcept { ++children_[slot / kBlock]; }
  void child_removed(uint32_t slot) noexcept { --children_[slot / kBlock]; }

  // `first`: the prefix's first slot; length 1..24.
  uint32_t find(uint32_t first, unsigned length) const noexcept;  // 0 = absent
  void set(FibArena& arena, uint32_t first, unsigned length, uint32_t entry);
  void erase(FibArena& arena, uint32_t first, unsigned length);

  template <class F>  // f(first slot, length, adjacency index)
  void for_each_prefix(F&& f) const;
  template <class F>  // f(slot, child entry)
  void for_each_child(F&& f) const;
  size_t memory_bytes() const noexcept;

 private:
  static constexpr uint32_t kBlock = 4096;  // slots or prefixes that share a count

  // A complete binary tree in an array: children of i are 2i and 2i+1, so that what
  // covers a prefix is at its index shifted right.
  static constexpr uint32_t tree_index(uint32_t first, unsigned length) noexcept {
    return 1U << length | first >> (kBits - length);
  }
  void replace(FibArena& arena, uint32_t first, unsigned length, unsigned new_depth,
               uint32_t entry);

  TableMemory slot_memory_;
  TableMemory depth_memory_;
  TableMemory prefix_memory_;
  FibWord* slots_;
  uint8_t* depths_;                     // length of the prefix that owns the slot, 0 = none
  uint32_t* prefixes_;                  // by tree_index: adjacency index, 0 = absent
  std::vector<uint16_t> children_;      // by block of slots
  std::vector<uint16_t> prefix_count_;  // by block of prefixes_
};

template <class F>
void FibRoot::for_each_prefix(F&& f) const {
  for (uint32_t block = 0; block < prefix_count_.size(); ++block) {
    if (prefix_count_[block] == 0) continue;
    for (uint32_t i = block * kBlock; i < (block + 1) * kBlock; ++i) {
      if (prefixes_[i] == 0) continue;
      const auto length = static_cast<unsigned>(std::bit_width(i)) - 1;
      f((i - (1U << length)) << (kBits - length), length, prefixes_[i]);
    }
  }
}

template <class F>
void FibRoot::for_each_child(F&& f) const {
  for (uint32_t block = 0; block < children_.size(); ++block) {
    if (children_[block] == 0) continue;
    for (uint32_t slot = block * kBlock; slot < (block + 1) * kBlock; ++slot) {
      const uint32_t entry = slots_[slot].load(std::memory_order_relaxed);  // own writes
      if (fib_entry::is_child(entry)) f(slot, entry);
    }
  }
}

}  // namespace weir::dataplane
