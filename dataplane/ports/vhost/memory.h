// A front-end's memory table: checked, mapped, and translated from guest addresses.
//
// Threads: made and destroyed by the main thread; workers translate in between.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <span>

#include "dataplane/api/codec.h"
#include "dataplane/api/error.h"
#include "dataplane/ports/vhost/protocol.h"
#include "dataplane/ports/vhost/sigbus_guard.h"

namespace weir::dataplane::vhost {

// Address space that one pod may claim: touched pages alone cost memory.
inline constexpr uint64_t kMaxBytes = 64ULL << 30;
// Bytes after a region that may be read, of no meaning: copies of fixed size need no check.
inline constexpr uint64_t kReadSlack = 4096;

class Memory {
 public:
  // Maps files[i] for regions[i]; the files stay the caller's. Accepts shared memory alone
  // (memfd, shm, hugetlbfs: what answers for its seals), as touching any other file may block
  // for ever. Memory on hugetlbfs takes pages of the node's pool, so its pod must be `trusted`.
  // The error's text names the reason for the peer.
  static Result<std::shared_ptr<Memory>> map(std::span<const MemoryRegion> regions,
                                             std::span<const api::Fd> files, bool trusted);
  Memory() = default;
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  // What lies at a guest address, as far as its region goes; empty when nothing does.
  std::span<std::byte> from(uint64_t guest) const noexcept {
    for (uint32_t i = 0; i < count_; ++i) {
      const View& view = views_[i];
      const uint64_t offset = guest - view.guest;
      if (offset < view.size) [[likely]]
        return {view.data + offset, view.size - offset};
    }
    return {};
  }
  // The same by address in the front-end's process: `length` bytes whole, or nullptr.
  std::byte* at_user(uint64_t user, uint64_t length) const noexcept;

  // Some of it was taken away (see SigbusGuard) and reads as zero since.
  bool lost() const noexcept { return lost_.load(std::memory_order_acquire); }
  uint32_t regions() const noexcept { return count_; }
  uint64_t bytes() const noexcept;

 private:
  struct View {
    uint64_t guest = 0;
    uint64_t size = 0;
    std::byte* data = nullptr;
  };
  struct Mapping {
    std::byte* base = nullptr;
    uint64_t reserved = 0;
    uint64_t user = 0;
    SigbusGuard guard;
  };

  Status add(const MemoryRegion& region, int file, bool trusted);

  std::array<View, kMaxRegions> views_{};
  std::array<Mapping, kMaxRegions> mappings_{};
  uint32_t count_ = 0;
  std::atomic<bool> lost_{false};  // written by a signal handler, read by workers
};

}  // namespace weir::dataplane::vhost
