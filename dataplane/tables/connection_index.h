// Hash index from flow keys to numbers of flows: buckets of one cache line, two candidates a
// key. Most keys are in their first one, so that lookups branch as foreseen.
//
// Thread safety: search and claim by any thread, erase by the main thread.
// Invariants: a slot is 0 or names a flow, with some bits of its hash beside the number to
// spare most looks at records of other flows. A slot that is not 0 changes to 0 only.
#pragma once

#include <emmintrin.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>

#include "dataplane/tables/connection.h"
#include "dataplane/tables/table_memory.h"

namespace weir::dataplane {

class ConnectionIndex {
 public:
  using Slot = std::atomic<uint32_t>;

 private:
  static size_t buckets_for(uint32_t records) noexcept {
    return std::bit_ceil(std::max(records / 4, 1U));
  }
  static constexpr unsigned kCrowded = 12;  // of 16 slots; a full table's buckets hold 8 on average

  struct alignas(64) Bucket {
    std::array<Slot, 16> slots;

    unsigned used() const noexcept {
      unsigned count = 0;
      for (const Slot& slot : slots) count += slot.load(std::memory_order_relaxed) != 0 ? 1 : 0;
      return count;
    }
    bool claim(uint32_t value) noexcept {
      for (Slot& slot : slots) {
        uint32_t empty = 0;
        // seq_cst: see search(); relaxed for the look that spares most failing exchanges
        if (slot.load(std::memory_order_relaxed) == 0 && slot.compare_exchange_strong(empty, value))
          return true;
      }
      return false;
    }
    // A bit for each slot whose tag is this one. The processor loads each 4-byte slot of an
    // aligned vector at once; a hint all the same, as C++ knows no such load: who uses a slot
    // loads it again.
    uint32_t like(uint32_t tag, uint32_t mask) const noexcept {
      const __m128i wanted = _mm_set1_epi32(static_cast<int>(tag));
      const __m128i tags = _mm_set1_epi32(static_cast<int>(mask));
      const auto equal = [&](size_t four) {
        __m128i slots4;
        asm("movdqa %1, %0"
            : "=x"(slots4)
            : "m"(*reinterpret_cast<const __m128i*>(&slots[four * 4])));
        return _mm_cmpeq_epi32(_mm_and_si128(slots4, tags), wanted);
      };
      const __m128i low = _mm_packs_epi32(equal(0), equal(1));
      const __m128i high = _mm_packs_epi32(equal(2), equal(3));
      return static_cast<uint32_t>(_mm_movemask_epi8(_mm_packs_epi16(low, high)));
    }
  };

 public:
  // What lookups read, to be copied before many of them: loads of slots are acquiring, after
  // which a compiler reads members anew.
  class View {
   public:
    // Where most keys are.
    void prefetch(uint64_t hash) const noexcept { __builtin_prefetch(&first(hash)); }
    // See ConnectionIndex.
    template <class Match>
    FlowNumber glance(uint64_t hash, Match&& match) const noexcept {
      const FlowNumber flow = glance_in(first(hash), hash, match);
      return flow != 0 ? flow : glance_in(second(hash), hash, match);
    }

   private:
    friend ConnectionIndex;
    View(uint32_t records, Bucket* at) noexcept
        : buckets_(at),
          mask_(static_cast<uint32_t>(buckets_for(records) - 1)),
          tag_mask_(~uint32_t{0} << (std::bit_width(records) + 1)) {}

    template <class Match>
    FlowNumber glance_in(const Bucket& bucket, uint64_t hash, Match& match) const noexcept {
      const uint32_t tag = tag_of(hash);
      for (uint32_t like = bucket.like(tag, tag_mask_); like != 0; like &= like - 1) {
        const Slot& slot = bucket.slots[static_cast<unsigned>(std::countr_zero(like))];
        // acquire: pairs with claim(); the record is readable
        const FlowNumber flow = slot.load(std::memory_order_acquire) ^ tag;
        if (is_number(flow) && match(flow)) return flow;
      }
      return 0;
    }

    // Bits that do not overlap, up to 2^24 records: low ones, from 32 on, the topmost.
    Bucket& first(uint64_t hash) const noexcept {
      return buckets_[static_cast<uint32_t>(hash) & mask_];
    }
    Bucket& second(uint64_t hash) const noexcept {
      return buckets_[static_cast<uint32_t>(hash >> 32) & mask_];
    }
    uint32_t tag_of(uint64_t hash) const noexcept {
      return static_cast<uint32_t>(hash >> 32) & tag_mask_;
    }
    // Whether what is left of a slot without its tag is a flow: the slot was not empty, and the
    // tag the right one.
    bool is_number(uint32_t left) const noexcept { return left != 0 && (left & tag_mask_) == 0; }

    Bucket* buckets_;
    uint32_t mask_;
    uint32_t tag_mask_;
  };

  // Room for two keys of each of `records` records, half full at most.
  explicit ConnectionIndex(uint32_t records, int numa_node)
      : memory_(buckets_for(records) * sizeof(Bucket), {.huge = true, .numa_node = numa_node}),
        view_(records, memory_.as<Bucket>()) {}

  // Memory for all of it at once, so that no worker waits for the kernel.
  void populate() { memory_.touch(0, memory_.size()); }
  size_t memory_bytes() const noexcept { return memory_.touched_bytes(); }

  const View& view() const noexcept { return view_; }
  void prefetch(uint64_t hash) const noexcept { view_.prefetch(hash); }

  // Both call match(FlowNumber) for what may have this hash until it says true, and
  // return that number, 0 when none did. glance() is fast and may overlook what is published
  // at the same time. search() is sequentially consistent with claim(): of two threads that
  // claim and then search, one sees the other.
  template <class Match>
  FlowNumber glance(uint64_t hash, Match&& match) const noexcept {
    return view_.glance(hash, match);
  }
  template <class Match>
  FlowNumber search(uint64_t hash, Match&& match) const noexcept {
    const uint32_t tag = view_.tag_of(hash);
    for (const Bucket* bucket : {&view_.first(hash), &view_.second(hash)}) {
      for (const Slot& slot : bucket->slots) {
        const FlowNumber flow = slot.load() ^ tag;
        if (view_.is_number(flow) && match(flow)) return flow;
      }
    }
    return 0;
  }

  // Publishes a flow in its first bucket, or in the emptier one when that is crowded; false
  // when both are full.
  bool claim(uint64_t hash, FlowNumber flow) noexcept {
    Bucket* bucket = &view_.first(hash);
    Bucket* other = &view_.second(hash);
    const uint32_t slot = view_.tag_of(hash) | flow;
    const unsigned used = bucket->used();
    if (used >= kCrowded && other->used() < used) std::swap(bucket, other);
    return bucket->claim(slot) || other->claim(slot);
  }

  void erase(uint64_t hash, FlowNumber flow) noexcept {
    const uint32_t value = view_.tag_of(hash) | flow;
    for (Bucket* bucket : {&view_.first(hash), &view_.second(hash)}) {
      for (Slot& slot : bucket->slots) {
        // relaxed: no other thread changes a slot that is in use, and emptiness tells nothing
        if (slot.load(std::memory_order_relaxed) != value) continue;
        slot.store(0, std::memory_order_relaxed);
        return;
      }
    }
  }

 private:
  TableMemory memory_;
  View view_;
};

}  // namespace weir::dataplane
