#include "dataplane/tables/table_memory.h"

#include <numa.h>
#include <sys/mman.h>

#include <cstdint>
#include <new>

#ifndef MADV_POPULATE_READ  // Linux 5.14; older kernels refuse them and lose only speed
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

namespace weir::dataplane {

namespace {
constexpr unsigned kHugeShift = 21;
constexpr unsigned kSmallShift = 16;
}  // namespace

TableMemory::TableMemory(size_t bytes, const Layout& layout)
    : size_(bytes), huge_(layout.huge), block_shift_(layout.huge ? kHugeShift : kSmallShift) {
  const size_t block = size_t{1} << block_shift_;
  mapped_ = (bytes + block - 1) / block * block + block;  // one more, to align
  mapping_ = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping_ == MAP_FAILED) throw std::bad_alloc();
  const auto start = reinterpret_cast<uintptr_t>(mapping_);
  data_ = static_cast<char*>(mapping_) + ((start + block - 1) / block * block - start);
  touched_.resize((bytes + block - 1) / block);

  if (layout.numa_node >= 0 && numa_available() >= 0 && numa_max_node() > 0) {
    numa_tonode_memory(data_, size_, layout.numa_node);
  }
  // All advice is about speed alone; a refusal changes nothing else.
  if (huge_) static_cast<void>(madvise(data_, size_, MADV_HUGEPAGE));
  if (layout.read_ahead) static_cast<void>(madvise(data_, size_, MADV_POPULATE_READ));
}

TableMemory::~TableMemory() { munmap(mapping_, mapped_); }

// A hugepage comes only from a write to a block with no page at all: kernels before 6.12
// break the huge zero page, which readers may have mapped, into small pages on a write.
// Dropping an unwritten block is invisible to readers, who find zeros again.
void TableMemory::prepare(size_t block) {
  touched_[block] = true;
  ++blocks_;
  if (!huge_) return;
  const size_t length = size_t{1} << block_shift_;
  char* first = static_cast<char*>(data_) + block * length;
  static_cast<void>(madvise(first, length, MADV_DONTNEED));
  static_cast<void>(madvise(first, length, MADV_POPULATE_WRITE));
}

}  // namespace weir::dataplane
