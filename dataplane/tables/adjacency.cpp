#include "dataplane/tables/adjacency.h"

#include <sys/mman.h>

#include <new>

namespace weir::dataplane {

Adjacencies::Adjacencies(Rcu& rcu, uint32_t capacity)
    : rcu_(rcu), capacity_(capacity), free_(std::make_shared<std::vector<uint32_t>>()) {
  void* memory = mmap(nullptr, capacity * sizeof(uint64_t), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  words_ = static_cast<std::atomic<uint64_t>*>(memory);
  words_[0].store(Adjacency{}.pack(), std::memory_order_relaxed);  // no reader yet
}

Adjacencies::~Adjacencies() { munmap(words_, capacity_ * sizeof(uint64_t)); }

Result<uint32_t> Adjacencies::allocate(const Adjacency& adjacency) {
  uint32_t index = 0;
  if (!free_->empty()) {
    index = free_->back();
    free_->pop_back();
  } else if (fresh_ < capacity_) {
    index = fresh_++;
  } else {
    return {ErrorCode::limit, "all " + std::to_string(capacity_) + " next hops are in use; remove routes"};
  }
  ++in_use_;
  set(index, adjacency);
  return index;
}

void Adjacencies::set(uint32_t index, const Adjacency& adjacency) noexcept {
  // release: the port that the word names was published before
  words_[index].store(adjacency.pack(), std::memory_order_release);
}

void Adjacencies::release(uint32_t index) {
  --in_use_;
  rcu_.retire([free = free_, index] { free->push_back(index); });
}

}  // namespace weir::dataplane
