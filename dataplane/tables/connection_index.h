// Hash index from flow keys to connection records: buckets of one cache line, two
// candidates a key.
//
// Thread safety: search and claim by any thread, erase by the main thread.
// Invariants: a slot is 0 or names a record, with some bits of its hash beside the number to
// spare most looks at records of other flows. A slot that is not 0 changes to 0 only.
#pragma once

#include <emmintrin.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>

#include "dataplane/tables/table_memory.h"

namespace weir::dataplane {

class ConnectionIndex {
 public:
  using Slot = std::atomic<uint32_t>;

  // Room for two keys of each of `records` records, half full at most.
  explicit ConnectionIndex(uint32_t records, int numa_node)
      : number_bits_(static_cast<unsigned>(std::bit_width(records))),
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

  // Both call match(record number) for what may have this hash until it says true, and
  // return that number, 0 when none did. glance() is fast and may overlook what is published
  // at the same time. search() is sequentially consistent with claim(): of two threads that
  // claim and then search, one sees the other.
  template <class Match>
  uint32_t glance(uint64_t hash, Match&& match) const noexcept {
    for (const uint32_t place : {first(hash), second(hash)}) {
      const Bucket& bucket = buckets_[place];
      for (uint32_t like = bucket.like(tag_of(hash), tag_mask()); like != 0; like &= like - 1) {
        // acquire: pairs with claim(); the record is readable
        const uint32_t number =
            number_in(bucket.slots[static_cast<unsigned>(std::countr_zero(like))].load(
                          std::memory_order_acquire),
                      hash);
        if (number != 0 && match(number)) return number;
      }
    }
    return 0;
  }
  template <class Match>
  uint32_t search(uint64_t hash, Match&& match) const noexcept {
    for (const uint32_t place : {first(hash), second(hash)}) {
      for (const Slot& slot : buckets_[place].slots) {
        const uint32_t number = number_in(slot.load(), hash);
        if (number != 0 && match(number)) return number;
      }
    }
    return 0;
  }

  // Publishes a record in the emptier of the two buckets; false when both are full.
  bool claim(uint64_t hash, uint32_t record) noexcept {
    Bucket* bucket = &buckets_[first(hash)];
    Bucket* other = &buckets_[second(hash)];
    if (other->used() < bucket->used()) std::swap(bucket, other);
    return bucket->claim(tag_of(hash) | record) || other->claim(tag_of(hash) | record);
  }

  void erase(uint64_t hash, uint32_t record) noexcept {
    for (const uint32_t place : {first(hash), second(hash)}) {
      for (Slot& slot : buckets_[place].slots) {
        // relaxed: no other thread changes a slot that is in use, and emptiness tells nothing
        if (slot.load(std::memory_order_relaxed) != (tag_of(hash) | record)) continue;
        slot.store(0, std::memory_order_relaxed);
        return;
      }
    }
  }

 private:
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

  // Bits that do not overlap, up to 2^24 records: low ones, from 32 on, the topmost.
  uint32_t first(uint64_t hash) const noexcept { return static_cast<uint32_t>(hash) & mask_; }
  uint32_t second(uint64_t hash) const noexcept {
    return static_cast<uint32_t>(hash >> 32) & mask_;
  }
  uint32_t tag_mask() const noexcept { return ~uint32_t{0} << number_bits_; }
  uint32_t tag_of(uint64_t hash) const noexcept {
    return static_cast<uint32_t>(hash >> 32) & tag_mask();
  }
  // The record in a slot, 0 when the slot is empty or its tag is not this hash's.
  uint32_t number_in(uint32_t slot, uint64_t hash) const noexcept {
    const uint32_t number = slot ^ tag_of(hash);
    return (number & tag_mask()) == 0 ? number : 0;
  }

  unsigned number_bits_;
  uint32_t mask_;
  TableMemory memory_;
  Bucket* buckets_;
};

}  // namespace weir::dataplane
