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

  // Room for two keys of each of `records` records, half full at most.
  explicit ConnectionIndex(uint32_t records, int numa_node)
      : tag_mask_(~uint32_t{0} << (std::bit_width(records) + 1)),
        mask_(std::bit_ceil(std::max(records / 4, 1U)) - 1),
        memory_((size_t{mask_} + 1) * sizeof(Bucket), {.huge = true, .numa_node = numa_node}),
        buckets_(memory_.as<Bucket>()) {}

  // Memory for all of it at once, so that no worker waits for the kernel.
  void populate() { memory_.touch(0, memory_.size()); }
  size_t memory_bytes() const noexcept { return memory_.touched_bytes(); }

  void prefetch(uint64_t hash) const noexcept {
    __builtin_prefetch(&buckets_[first(hash)]);
    __builtin_prefetch(&buckets_[second(hash)]);
  }

  // Both call match(FlowNumber) for what may have this hash until it says true, and
  // return that number, 0 when none did. glance() is fast and may overlook what is published
  // at the same time. search() is sequentially consistent with claim(): of two threads that
  // claim and then search, one sees the other.
  template <class Match>
  FlowNumber glance(uint64_t hash, Match&& match) const noexcept {
    const FlowNumber flow = glance_in(buckets_[first(hash)], hash, match);
    return flow != 0 ? flow : glance_in(buckets_[second(hash)], hash, match);
  }
  template <class Match>
  FlowNumber search(uint64_t hash, Match&& match) const noexcept {
    for (const uint32_t place : {first(hash), second(hash)}) {
      for (const Slot& slot : buckets_[place].slots) {
        const FlowNumber flow = slot.load() ^ tag_of(hash);
        if (is_number(flow) && match(flow)) return flow;
      }
    }
    return 0;
  }

  // Publishes a flow in its first bucket, or in the emptier one when that is crowded; false
  // when both are full.
  bool claim(uint64_t hash, FlowNumber flow) noexcept {
    Bucket* bucket = &buckets_[first(hash)];
    Bucket* other = &buckets_[second(hash)];
    const unsigned used = bucket->used();
    if (used >= kCrowded && other->used() < used) std::swap(bucket, other);
    return bucket->claim(tag_of(hash) | flow) || other->claim(tag_of(hash) | flow);
  }

  void erase(uint64_t hash, FlowNumber flow) noexcept {
    for (const uint32_t place : {first(hash), second(hash)}) {
      for (Slot& slot : buckets_[place].slots) {
        // relaxed: no other thread changes a slot that is in use, and emptiness tells nothing
        if (slot.load(std::memory_order_relaxed) != (tag_of(hash) | flow)) continue;
        slot.store(0, std::memory_order_relaxed);
        return;
      }
    }
  }

 private:
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
  uint32_t first(uint64_t hash) const noexcept { return static_cast<uint32_t>(hash) & mask_; }
  uint32_t second(uint64_t hash) const noexcept {
    return static_cast<uint32_t>(hash >> 32) & mask_;
  }
  uint32_t tag_of(uint64_t hash) const noexcept {
    return static_cast<uint32_t>(hash >> 32) & tag_mask_;
  }
  // Whether what is left of a slot without its tag is a flow: the slot was not empty, and the
  // tag the right one.
  bool is_number(uint32_t left) const noexcept { return left != 0 && (left & tag_mask_) == 0; }

  uint32_t tag_mask_;
  uint32_t mask_;
  TableMemory memory_;
  Bucket* buckets_;
};

}  // namespace weir::dataplane
