#include "dataplane/tables/connection_records.h"

namespace weir::dataplane {

namespace {

uint32_t head_of(uint64_t stack) { return static_cast<uint32_t>(stack); }
uint64_t next_stack(uint64_t stack, uint32_t head) { return ((stack >> 32) + 1) << 32 | head; }

}  // namespace

ConnectionRecords::ConnectionRecords(uint32_t capacity, uint32_t workers, int numa_node)
    : capacity_(capacity),
      memory_((size_t{capacity} + 1) * sizeof(Connection), {.huge = true, .numa_node = numa_node}),
      records_(memory_.as<Connection>()),
      lists_(std::make_unique<WorkerList[]>(workers)) {}

uint32_t ConnectionRecords::take(uint32_t worker) noexcept {
  WorkerList& list = lists_[worker];
  if (list.head == 0) {
    uint64_t stack = shared_.load(std::memory_order_acquire);
    // acquire: pairs with push(), so the batch is readable. Another worker may take the head
    // meanwhile and use it: then what is read here is of no use and the exchange fails.
    while (head_of(stack) != 0 && !shared_.compare_exchange_weak(
                                      stack,
                                      next_stack(stack, records_[head_of(stack)].next_batch.load(
                                                            std::memory_order_relaxed)),
                                      std::memory_order_acquire)) {
    }
    list.head = head_of(stack);
    if (list.head == 0) return 0;
    stock_.fetch_sub(kBatch, std::memory_order_relaxed);
  }
  const uint32_t number = list.head;
  // relaxed: the list is this worker's own since the exchange
  list.head = records_[number].link.load(std::memory_order_relaxed);
  return number;
}

void ConnectionRecords::supply(uint32_t number) noexcept {
  // relaxed: published by the push
  records_[number].link.store(batch_, std::memory_order_relaxed);
  batch_ = number;
  if (++batch_size_ == kBatch) push();
}

void ConnectionRecords::push() noexcept {
  uint64_t stack = shared_.load(std::memory_order_relaxed);
  do {
    records_[batch_].next_batch.store(head_of(stack), std::memory_order_relaxed);
    // release: the batch's records and links, for the worker that takes it
  } while (!shared_.compare_exchange_weak(stack, next_stack(stack, batch_),
                                          std::memory_order_release, std::memory_order_relaxed));
  stock_.fetch_add(kBatch, std::memory_order_relaxed);
  batch_ = batch_size_ = 0;
}

void ConnectionRecords::restock() noexcept {
  while (stock_.load(std::memory_order_relaxed) < kStock && fresh_ <= capacity_) {
    memory_.touch(size_t{fresh_} * sizeof(Connection), sizeof(Connection));
    supply(fresh_++);
  }
  // A batch that is not full would make stock_ wrong; with no fresh ones it does not matter.
  if (fresh_ > capacity_ && batch_ != 0) push();
}

}  // namespace weir::dataplane
