#include "dataplane/core/node_memory.h"

#include <numa.h>
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

namespace weir::dataplane {

namespace {

constexpr size_t kHugepage = 2U << 20;

void* map(size_t bytes, int flags) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

}  // namespace

NodeMemory::NodeMemory(size_t bytes, int node, bool hugepages)
    : bytes_((bytes + kHugepage - 1) / kHugepage * kHugepage) {
  // Without MAP_NORESERVE the kernel sets the hugepages aside now, so a later touch
  // cannot fail with SIGBUS.
  void* memory = hugepages ? map(bytes_, MAP_HUGETLB) : nullptr;
  huge_ = memory != nullptr;
  if (memory == nullptr) memory = map(bytes_, 0);
  if (memory == nullptr) std::abort();
  if (!huge_) madvise(memory, bytes_, MADV_HUGEPAGE);
  if (node >= 0 && numa_available() >= 0 && numa_max_node() > 0) numa_tonode_memory(memory, bytes_, node);
  std::memset(memory, 0, bytes_);
  data_ = static_cast<std::byte*>(memory);
}

NodeMemory::~NodeMemory() { munmap(data_, bytes_); }

}  // namespace weir::dataplane
