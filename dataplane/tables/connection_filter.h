// Tells from one byte that a packet is of no connection, as most are, so that a node's plain
// traffic does not pay for the connections of others.
//
// Thread safety: any thread.
// Invariants: a slot counts the keys that meet in it, added and not removed, up to kMany, from
// where on it stays. So a key that was added and not removed is never denied. Of others, as
// many pass as slots are in use: two of five when the table is full.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>

#include "dataplane/tables/flow_key.h"
#include "dataplane/tables/table_memory.h"

namespace weir::dataplane {

class ConnectionFilter {
  using Slot = std::atomic<uint8_t>;

 public:
  // What lookups read, to be copied before many of them, as ConnectionIndex::View.
  class View {
   public:
    // False: no connection has this key. Key: FlowKey or one of its families'.
    template <class Key>
    bool may_have(const Key& key) const noexcept {
      // relaxed: publishes nothing. Who learnt in any ordered way that a key was added sees that
      // or a later change of its slot; who did not might have looked before.
      return slot(key).load(std::memory_order_relaxed) != 0;
    }

   private:
    friend ConnectionFilter;
    View(Slot* slots, uint32_t mask) noexcept : slots_(slots), mask_(mask) {}
    template <class Key>
    Slot& slot(const Key& key) const noexcept {
      return slots_[key.digest() & mask_];
    }

    Slot* slots_;
    uint32_t mask_;
  };

  // Twice as many slots as `records` connections have keys.
  ConnectionFilter(uint32_t records, int numa_node)
      : memory_(std::bit_ceil(size_t{records} * 4), {.huge = true, .numa_node = numa_node}),
        view_(memory_.as<Slot>(), static_cast<uint32_t>(memory_.size() - 1)) {}

  // Memory for all of it at once, so that no worker waits for the kernel.
  void populate() { memory_.touch(0, memory_.size()); }
  size_t memory_bytes() const noexcept { return memory_.touched_bytes(); }

  const View& view() const noexcept { return view_; }
  void add(const FlowKey& key) noexcept { change(key, 1); }
  void remove(const FlowKey& key) noexcept { change(key, -1); }

 private:
  static constexpr uint8_t kMany = UINT8_MAX;  // nobody can tell any more when it is empty again

  void change(const FlowKey& key, int by) noexcept {
    Slot& slot = view_.slot(key);
    uint8_t count = slot.load(std::memory_order_relaxed);
    // relaxed: see may_have()
    while (count != kMany &&
           !slot.compare_exchange_weak(count, static_cast<uint8_t>(count + by),
                                       std::memory_order_relaxed)) {
    }
  }

  TableMemory memory_;
  View view_;
};

}  // namespace weir::dataplane
