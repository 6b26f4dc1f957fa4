// Maglev hashing (Eisenbud et al., NSDI 2016, section 3.4): a table that spreads hashes
// over backends by weight, and of which little moves when one backend comes or goes.
//
// Thread safety: immutable once built.
// Invariants: the table depends on which backends there are and their weights alone, not on
// their order or earlier tables: after a restart flows find the backends they had.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "dataplane/tables/backend_pool.h"

namespace weir::dataplane {

class Maglev {
 public:
  struct Member {
    BackendId id = kNoBackend;
    uint32_t weight = 1;
    uint64_t identity = 0;  // a hash of what the backend is: address and port
  };

  // Without members every pick is kNoBackend.
  explicit Maglev(std::vector<Member> members);

  // `hash`: all 64 bits good; the upper ones choose.
  BackendId pick(uint64_t hash) const noexcept {
    return entries_[(hash >> 32) * entries_.size() >> 32];
  }
  std::span<const BackendId> entries() const noexcept { return entries_; }

  // A prime of at least 100 entries a share (65537 at most); a backend of the least weight
  // has one share.
  static uint32_t size_for(size_t shares) noexcept;

 private:
  std::vector<BackendId> entries_;
};

}  // namespace weir::dataplane
