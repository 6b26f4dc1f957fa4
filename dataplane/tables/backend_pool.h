// Backends by number, so that a connection can ask in one read whether the one that it
// went to is still there.
//
// Thread safety: alive(), address() and hold() by any thread; all else by the main thread.
// Invariants: a number is one backend in one group. It is given out again only when a
// grace period has passed since it left its group and nothing holds it, so whoever can
// read a number from a published table or a live record reads the right backend.
#pragma once

#include <atomic>
#include <vector>

#include "dataplane/api/error.h"
#include "dataplane/core/headers.h"
#include "dataplane/core/rcu.h"
#include "dataplane/tables/table_memory.h"

namespace weir::dataplane {

using BackendId = uint32_t;
inline constexpr BackendId kNoBackend = 0;  // always alive, for connections of no service

struct BackendAddress {
  Ip6Bytes address{};  // IPv4 in the first four bytes
  uint16_t port = 0;   // wire order
  Family family = Family::none;
  uint8_t reserved = 0;
};

// What names a backend; the values count one of it in a word.
enum class BackendHolder : uint64_t { connection = 1, affinity = uint64_t{1} << 32 };

class BackendPool {
 public:
  // `capacity`: numbers reserved as address space; memory is used as numbers are.
  explicit BackendPool(Rcu& rcu, uint32_t capacity = 1U << 21);
  ~BackendPool();  // no worker may run any more
  BackendPool(const BackendPool&) = delete;
  BackendPool& operator=(const BackendPool&) = delete;

  // False from the moment on that the backend leaves its group. relaxed: the word stands
  // alone; a worker that sees it late is a packet that came earlier.
  bool alive(BackendId id) const noexcept {
    return alive_[id].load(std::memory_order_relaxed) != 0;
  }
  const BackendAddress& address(BackendId id) const noexcept { return addresses_[id]; }
  // A record names `id` from now on. relaxed: whoever acts on a zero waits for a grace
  // period first, which orders it.
  void hold(BackendId id, BackendHolder holder) noexcept {
    held_[id].fetch_add(static_cast<uint64_t>(holder), std::memory_order_relaxed);
  }

  void release(BackendId id, BackendHolder holder);  // that record is gone, a grace period ago
  // Error limit when all numbers are taken.
  Result<BackendId> add(uint64_t group, const BackendAddress& address);
  void leave(BackendId id);  // its group's tables do not name it any more
  uint32_t connections(BackendId id) const noexcept {
    return static_cast<uint32_t>(held_[id].load(std::memory_order_relaxed));
  }
  uint64_t group(BackendId id) const noexcept { return owners_[id].group; }
  uint32_t in_use() const noexcept { return in_use_; }
  size_t memory_bytes() const noexcept;

 private:
  struct Owner {
    uint64_t group = 0;
    bool gone = false;  // left, and a grace period has passed
  };
  void touch(BackendId id);
  void free(BackendId id);

  Rcu& rcu_;
  uint32_t capacity_;
  // Apart, as they change at different paces: with groups, never, with connections.
  TableMemory alive_memory_;
  TableMemory address_memory_;
  TableMemory held_memory_;
  std::atomic<uint32_t>* alive_;
  BackendAddress* addresses_;
  std::atomic<uint64_t>* held_;  // connections below, affinities above
  std::vector<Owner> owners_;
  std::vector<BackendId> free_;
  uint32_t in_use_ = 0;
  uint32_t leaving_ = 0;  // grace periods that have not passed yet
};

}  // namespace weir::dataplane
