#include "dataplane/ports/memif/regions.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>

namespace weir::dataplane::memif {

namespace {

constexpr uint64_t kPage = 4096;

Error refuse(const char* reason) { return {ErrorCode::invalid_argument, reason}; }

// Bytes of the file's pages, or the reason not to map it.
Result<uint64_t> check_file(int fd, uint64_t size, bool trusted) {
  if (size == 0) return refuse("region of size zero");
  if (size > kMaxBytes) return refuse("region larger than 1 GiB");
  // First, as it never enters a file system that the peer may serve itself: it fails
  // for everything that is neither shmem nor hugetlbfs.
  const int seals = fcntl(fd, F_GET_SEALS);
  if (seals < 0) return refuse("region is not a memfd");
  if (!trusted && (seals & F_SEAL_SHRINK) == 0) return refuse("region's memfd lacks F_SEAL_SHRINK");
  struct statfs file_system {};
  if (fstatfs(fd, &file_system) != 0) return refuse("region's file system is unknown");
  const bool huge = file_system.f_type == HUGETLBFS_MAGIC;
  if (huge && !trusted) return refuse("region on hugetlbfs");
  struct stat status {};
  if (fstat(fd, &status) != 0 || status.st_size < 0) return refuse("region's size is unknown");
  if (static_cast<uint64_t>(status.st_size) < size) return refuse("region's memfd is too short");
  return huge ? static_cast<uint64_t>(file_system.f_bsize) : kPage;
}

}  // namespace

std::byte* reserve(uint64_t bytes, uint64_t page) {
  void* all = mmap(nullptr, bytes + page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (all == MAP_FAILED) return nullptr;
  auto* start = static_cast<std::byte*>(all);
  const uint64_t before =
      round_up(reinterpret_cast<uintptr_t>(all), page) - reinterpret_cast<uintptr_t>(all);
  if (before > 0) munmap(start, before);
  if (before < page) munmap(start + before + bytes, page - before);
  return start + before;
}

Result<Region> Region::map(int fd, uint64_t size, bool trusted) {
  const Result<uint64_t> page = check_file(fd, size, trusted);
  if (!page) return page.error();
  Region region;
  region.size_ = size;
  // The second mapping leaves the slack of the first, on a page of its own.
  region.reserved_ = round_up(size, *page) + round_up(kReadSlack, kPage);
  region.base_ = reserve(region.reserved_, *page);
  if (region.base_ == nullptr) return refuse("region cannot be mapped");
  if (mmap(region.base_, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) ==
      MAP_FAILED) {
    return refuse(errno == EPERM || errno == EACCES ? "region is not writable"
                                                    : "region cannot be mapped");
  }
  madvise(region.base_, size, MADV_DONTDUMP);  // a pod's data has no place in our core dump
  return region;
}

Region::~Region() {
  if (base_ != nullptr) munmap(base_, reserved_);
}

}  // namespace weir::dataplane::memif
