#include "dataplane/ports/memif/regions.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>

namespace weir::dataplane::memif {

namespace {

constexpr uint64_t kPage = 4096;  // what is left of a region's last page is no slack

Error refuse(const char* reason) { return {ErrorCode::invalid_argument, reason}; }

}  // namespace

Result<Region> Region::map(int fd, uint64_t size, bool unsealed) {
  if (size == 0) return refuse("region of size zero");
  if (size > kMaxBytes) return refuse("region larger than 1 GiB");
  // First, as it never enters a file system that the peer may serve itself: it fails
  // for everything that is neither shmem nor hugetlbfs.
  const int seals = fcntl(fd, F_GET_SEALS);
  if (seals < 0) return refuse("region is not a memfd");
  if (!unsealed && (seals & F_SEAL_SHRINK) == 0)
    return refuse("region's memfd lacks F_SEAL_SHRINK");
  struct statfs file_system {};
  if (fstatfs(fd, &file_system) != 0 || file_system.f_type == HUGETLBFS_MAGIC) {
    return refuse("region on hugetlbfs");
  }
  struct stat status {};
  if (fstat(fd, &status) != 0 || status.st_size < 0) return refuse("region's size is unknown");
  if (static_cast<uint64_t>(status.st_size) < size) return refuse("region's memfd is too short");

  // The slack is what the second mapping leaves of the first.
  void* base = mmap(nullptr, size + kReadSlack + kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) return refuse("region cannot be mapped");
  Region region(static_cast<std::byte*>(base), size);
  if (mmap(base, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED) {
    return refuse(errno == EPERM || errno == EACCES ? "region is not writable"
                                                    : "region cannot be mapped");
  }
  madvise(base, size, MADV_DONTDUMP);  // a pod's data has no place in our core dump
  return region;
}

Region::~Region() {
  if (base_ != nullptr) munmap(base_, size_ + kReadSlack + kPage);
}

}  // namespace weir::dataplane::memif
