// Memory of connection records and the lists of free ones.
//
// Thread safety: take by the worker with that number; supply and restock by the main thread.
// Nothing blocks. Invariants: a record is in exactly one place: a worker's own list, the shared
// list, the part never used yet, or the table.
#pragma once

#include <memory>

#include "dataplane/tables/connection.h"
#include "dataplane/tables/table_memory.h"

namespace weir::dataplane {

class ConnectionRecords {
 public:
  // Numbers are 1..capacity.
  ConnectionRecords(uint32_t capacity, uint32_t workers, int numa_node);

  Connection& operator[](uint32_t number) noexcept { return records_[number]; }
  const Connection& operator[](uint32_t number) const noexcept { return records_[number]; }
  uint32_t number(const Connection& record) const noexcept {
    return static_cast<uint32_t>(&record - records_);
  }
  uint32_t capacity() const noexcept { return capacity_; }
  // Records from here on were never used. Main thread.
  uint32_t end() const noexcept { return fresh_; }

  uint32_t take(uint32_t worker) noexcept;  // 0 when there is none

  // A record is free again; workers get it in a batch with others, by the next restock() at
  // the latest when no unused ones are left.
  void supply(uint32_t number) noexcept;
  // Takes from the unused part until enough are free for what workers may add meanwhile.
  void restock() noexcept;
  size_t memory_bytes() const noexcept { return memory_.touched_bytes(); }

 private:
  static constexpr uint32_t kBatch = 64;        // records that a worker takes at once
  static constexpr uint32_t kStock = 1U << 16;  // 1M a second for more than 50 ms

  struct alignas(64) WorkerList {
    uint32_t head = 0;
  };
  void push() noexcept;

  uint32_t capacity_;
  TableMemory memory_;
  Connection* records_;
  std::unique_ptr<WorkerList[]> lists_;
  // Stack of batches: number of the first record, above it a count that changes with every
  // pop and push, so that a head that left and came back is not taken for the same.
  alignas(64) std::atomic<uint64_t> shared_{0};
  std::atomic<uint32_t> stock_{0};  // records in shared_, about
  uint32_t fresh_ = 1;
  uint32_t batch_ = 0;  // first record that supply() collects
  uint32_t batch_size_ = 0;
};

}  // namespace weir::dataplane
