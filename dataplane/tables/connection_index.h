// Hash index from flow keys to connection records: buckets of one cache line, two
// candidates a key.
//
// Thread safety: search and claim by any thread, erase by the main thread.
// Invariants: a slot is 0 or names a record, with some bits of its hash beside the number to
// spare most looks at records of other flows. A slot that is not 0 changes to 0 only.
#pragma once

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

  // Calls match(record number) for what may have this hash until it says true. Returns
  // that number, 0 when none did.
  template <class Match>
  uint32_t search(uint64_t hash, Match&& match, const Slot* skip = nullptr) const noexcept {
    const uint32_t tag = tag_of(hash);
    for (const uint32_t place : {first(hash), second(hash)}) {
      for (const Slot& slot : buckets_[place].slots) {
        // seq_cst: a plain load here; it lets one of two workers that add the same key see
        // the other (ConnectionTable). It pairs with claim(): the record is readable.
        const uint32_t value = slot.load(std::memory_order_seq_cst);
        if ((value ^ tag) >> number_bits_ != 0 || value == tag || &slot == skip) continue;
        if (match(value ^ tag)) return value ^ tag;
      }
    }
    return 0;
  }

  // Publishes a record in the emptier of the two buckets; nullptr when both are full.
  const Slot* claim(uint64_t hash, uint32_t record) noexcept {
    Bucket* bucket = &buckets_[first(hash)];
    Bucket* other = &buckets_[second(hash)];
    if (other->used() < bucket->used()) std::swap(bucket, other);
    const Slot* slot = bucket->claim(tag_of(hash) | record);
    return slot != nullptr ? slot : other->claim(tag_of(hash) | record);
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
    const Slot* claim(uint32_t value) noexcept {
      for (Slot& slot : slots) {
        uint32_t empty = 0;
        // seq_cst: see search(); relaxed for the glance that spares most failing exchanges
        if (slot.load(std::memory_order_relaxed) == 0 && slot.compare_exchange_strong(empty, value))
          return &slot;
      }
      return nullptr;
    }
  };

  // Bits that do not overlap, up to 2^24 records: low ones, from 32 on, the topmost.
  uint32_t first(uint64_t hash) const noexcept { return static_cast<uint32_t>(hash) & mask_; }
  uint32_t second(uint64_t hash) const noexcept {
    return static_cast<uint32_t>(hash >> 32) & mask_;
  }
  uint32_t tag_of(uint64_t hash) const noexcept {
    return static_cast<uint32_t>(hash >> 32) >> number_bits_ << number_bits_;
  }

  unsigned number_bits_;
  uint32_t mask_;
  TableMemory memory_;
  Bucket* buckets_;
};

}  // namespace weir::dataplane
