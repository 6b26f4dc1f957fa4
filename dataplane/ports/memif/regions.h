// Memory shared with a pod: checked before it is mapped, unmapped by RAII.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "dataplane/api/error.h"

namespace weir::dataplane::memif {

inline constexpr uint16_t kMaxRegions = 16;
inline constexpr uint64_t kMaxBytes = 1ULL << 30;  // of one pod's regions together
// Bytes after a region that may be read, of no meaning: copies of fixed size need no check.
inline constexpr uint64_t kReadSlack = 4096;

// A multiple of `page`.
constexpr uint64_t round_up(uint64_t bytes, uint64_t page) {
  return (bytes + page - 1) / page * page;
}
// Addresses that begin at a multiple of `page`; readable zeros that take no memory. nullptr when
// there are none.
std::byte* reserve(uint64_t bytes, uint64_t page);

// Threads: made and destroyed by the main thread; workers use the memory in between.
class Region {
 public:
  // Maps `size` bytes of `fd`, which stays the caller's. Accepts only a memfd that can
  // never get shorter (F_SEAL_SHRINK), is long enough and does not lie on hugetlbfs:
  // touching a page that is gone would be a SIGBUS. A `trusted` peer's may be unsealed
  // and on hugetlbfs. The error's text names the reason for the peer.
  static Result<Region> map(int fd, uint64_t size, bool trusted);

  Region() = default;
  Region(Region&& other) noexcept { *this = std::move(other); }
  Region& operator=(Region&& other) noexcept {
    std::swap(base_, other.base_);
    std::swap(size_, other.size_);
    std::swap(reserved_, other.reserved_);
    return *this;
  }
  ~Region();

  // size() bytes, and kReadSlack more to read.
  std::byte* base() const noexcept { return base_; }
  uint64_t size() const noexcept { return size_; }

 private:
  std::byte* base_ = nullptr;
  uint64_t size_ = 0;
  uint64_t reserved_ = 0;  // bytes mapped from base_ on
};

}  // namespace weir::dataplane::memif
