#include "dataplane/ports/vhost/memory.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>

#include "dataplane/ports/memif/regions.h"

namespace weir::dataplane::vhost {

namespace {

constexpr uint64_t kPage = 4096;

Error refuse(const char* reason) { return {ErrorCode::invalid_argument, reason}; }

bool wraps(uint64_t start, uint64_t size) { return start + size < start; }

// Bytes of the file's pages, or the reason not to map it.
Result<uint64_t> check_file(int file, uint64_t end, bool trusted) {
  // First, as it never enters a file system that the peer may serve itself.
  if (fcntl(file, F_GET_SEALS) < 0) return refuse("memory region is not shared memory");
  struct statfs file_system {};
  if (fstatfs(file, &file_system) != 0) return refuse("memory region's file system is unknown");
  const bool huge = file_system.f_type == HUGETLBFS_MAGIC;
  if (huge && !trusted) return refuse("memory region on hugetlbfs: the port must be trusted");
  struct stat status {};
  if (fstat(file, &status) != 0 || status.st_size < 0 ||
      static_cast<uint64_t>(status.st_size) < end)
    return refuse("memory region's file is too short");
  return huge ? static_cast<uint64_t>(file_system.f_bsize) : kPage;
}

Status check_region(const MemoryRegion& region) {
  if (region.size == 0) return refuse("memory region of size zero");
  if (wraps(region.guest, region.size) || wraps(region.user, region.size) ||
      wraps(region.offset, region.size))
    return refuse("memory region wraps around");
  if (region.size > kMaxBytes || region.offset > kMaxBytes)
    return refuse("memory region larger than 64 GiB");
  return {};
}

}  // namespace

Result<std::shared_ptr<Memory>> Memory::map(std::span<const MemoryRegion> regions,
                                            std::span<const api::Fd> files, bool trusted) {
  auto memory = std::make_shared<Memory>();
  uint64_t bytes = 0;
  for (size_t i = 0; i < regions.size(); ++i) {
    if (Status good = check_region(regions[i]); !good) return good.error();
    bytes += regions[i].size;
    if (bytes > kMaxBytes) return refuse("memory regions of more than 64 GiB in all");
    if (Status added = memory->add(regions[i], files[i].get(), trusted); !added)
      return added.error();
  }
  return memory;
}

Status Memory::add(const MemoryRegion& region, int file, bool trusted) {
  const Result<uint64_t> page = check_file(file, region.offset + region.size, trusted);
  if (!page) return page.error();
  const uint64_t before = region.offset % *page;  // a mapping starts with a page of the file
  const uint64_t length = memif::round_up(before + region.size, *page);
  Mapping& mapping = mappings_[count_];
  mapping.reserved = length + kReadSlack;
  mapping.base = memif::reserve(mapping.reserved, *page);
  if (mapping.base == nullptr) return refuse("memory region cannot be mapped");
  mapping.user = region.user;
  views_[count_++] = {region.guest, region.size, mapping.base + before};
  if (mmap(mapping.base, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file,
           static_cast<off_t>(region.offset - before)) == MAP_FAILED) {
    return refuse(errno == EPERM || errno == EACCES ? "memory region is not writable"
                                                    : "memory region cannot be mapped");
  }
  madvise(mapping.base, length, MADV_DONTDUMP);  // a pod's data has no place in our core dump
  Result<SigbusGuard> guard = SigbusGuard::make(mapping.base, length, lost_);
  if (!guard) return guard.error();
  mapping.guard = std::move(*guard);
  return {};
}

Memory::~Memory() {
  for (Mapping& mapping : mappings_) {
    mapping.guard = SigbusGuard();
    if (mapping.base != nullptr) munmap(mapping.base, mapping.reserved);
  }
}

std::byte* Memory::at_user(uint64_t user, uint64_t length) const noexcept {
  for (uint32_t i = 0; i < count_; ++i) {
    const uint64_t offset = user - mappings_[i].user;
    if (offset < views_[i].size && length <= views_[i].size - offset) return views_[i].data + offset;
  }
  return nullptr;
}

uint64_t Memory::bytes() const noexcept {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < count_; ++i) sum += views_[i].size;
  return sum;
}

}  // namespace weir::dataplane::vhost
