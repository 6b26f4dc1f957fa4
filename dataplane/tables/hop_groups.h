// Which of several next hops a flow takes. A group is a row of buckets, each with the index of
// a next hop's adjacency; a flow's hash names its bucket.
//
// Buckets choose by weighted rendezvous hashing of the next hops' addresses: a bucket's next
// hop depends on the set alone, not on how it came about. So one that leaves moves only its own
// flows, one that comes back gets just these, and all of it survives a restart.
//
// Thread safety: workers call choose() at any time. All else: main thread only.
// Invariants: a bucket of an allocated group names an adjacency that was set before; a released
// row is handed out again only after a grace period.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "dataplane/api/error.h"
#include "dataplane/api/net.h"
#include "dataplane/core/rcu.h"
#include "dataplane/tables/table_memory.h"

namespace weir::dataplane {

class HopGroups {
 public:
  static constexpr unsigned kLog2Buckets = 10;  // of 8 equals each is within a fifth of its share
  static constexpr uint32_t kBuckets = 1U << kLog2Buckets;
  static constexpr uint32_t kCapacity = 1U << 14;

  struct Member {
    IpAddress address;
    uint32_t adjacency = 0;
    uint32_t weight = 1;
  };

  explicit HopGroups(Rcu& rcu);

  // The adjacency's index. `hash`: its upper bits are the best. acquire: pairs with assign().
  uint32_t choose(uint32_t group, uint32_t hash) const noexcept {
    return buckets_[size_t{group} * kBuckets + (hash >> (32 - kLog2Buckets))].load(std::memory_order_acquire);
  }

  // A group with these members; never none.
  Result<uint32_t> allocate(std::span<const Member> members);
  void assign(uint32_t group, std::span<const Member> members);
  void release(uint32_t group);

 private:
  Rcu& rcu_;
  TableMemory memory_;
  std::atomic<uint32_t>* buckets_;
  uint32_t fresh_ = 0;  // never used from here on
  std::shared_ptr<std::vector<uint32_t>> free_;  // outlives this object in pending retirements
};

}  // namespace weir::dataplane
