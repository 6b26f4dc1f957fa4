// Address ranges for tables that workers read: reserved whole, given memory as it is
// touched, zero until written.
//
// Owner: the table. touch() and the figures: main thread only; the bytes themselves are
// shared by the table's own rules. Do not run the process under mlockall(MCL_FUTURE): it
// would fill every range at once.
#pragma once

#include <cstddef>
#include <vector>

namespace weir::dataplane {

class TableMemory {
 public:
  struct Layout {
    bool huge = false;        // ask for transparent hugepages
    bool read_ahead = false;  // map the zero page everywhere, so that no reader faults
    int numa_node = -1;       // -1: no binding
  };

  // Throws std::bad_alloc when the address space cannot be had.
  TableMemory(size_t bytes, const Layout& layout);
  ~TableMemory();
  TableMemory(const TableMemory&) = delete;
  TableMemory& operator=(const TableMemory&) = delete;

  // Call before the first write to [offset, offset + length).
  void touch(size_t offset, size_t length) {
    const size_t last = (offset + length - 1) >> block_shift_;
    for (size_t block = offset >> block_shift_; block <= last; ++block) {
      if (!touched_[block]) prepare(block);
    }
  }

  template <class T>
  T* as() const noexcept {
    return static_cast<T*>(data_);
  }
  size_t size() const noexcept { return size_; }
  // Memory behind the range at most: whole blocks of 2 MiB (huge) or 64 KiB.
  size_t touched_bytes() const noexcept { return blocks_ << block_shift_; }

 private:
  void prepare(size_t block);

  void* mapping_ = nullptr;
  size_t mapped_ = 0;
  void* data_ = nullptr;
  size_t size_ = 0;
  bool huge_ = false;
  unsigned block_shift_ = 0;
  size_t blocks_ = 0;
  std::vector<bool> touched_;
};

}  // namespace weir::dataplane
