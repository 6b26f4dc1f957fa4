#include "dataplane/tables/fib_arena.h"

#include <algorithm>
#include <new>

namespace weir::dataplane {

namespace {

constexpr uint32_t kLeastCells = 1U << 16;

unsigned size_index(unsigned cells) {
  return static_cast<unsigned>(std::ranges::lower_bound(FibArena::kSizes, cells) -
                               FibArena::kSizes.begin());
}

}  // namespace

FibArena* FibArena::create(uint32_t cells, uint32_t reserve, int numa_node) {
  for (;; cells /= 2) {  // a strict overcommit policy grants less
    try {
      return new FibArena(cells, std::min(reserve, cells / 4), numa_node);
    } catch (const std::bad_alloc&) {
      if (cells <= kLeastCells) throw;
    }
  }
}

FibArena::FibArena(uint32_t cells, uint32_t reserve, int numa_node)
    : capacity_(cells),
      reserve_(reserve),
      memory_(size_t{cells} * sizeof(FibNode), {.huge = true, .numa_node = numa_node}),
      shadow_memory_(size_t{cells} * sizeof(Shadow), {}),
      nodes_(memory_.as<FibNode>()),
      shadows_(shadow_memory_.as<Shadow>()) {}

FibArena::~FibArena() {
  for (uint32_t index = 1; index < fresh_; ++index) shadows_[index].prefixes.clear();
}

void FibArena::close() {
  closed_ = true;
  if (waiting_ == 0) delete this;
}

uint32_t FibArena::allocate(unsigned cells, bool from_reserve) {
  const unsigned size = size_index(cells);
  uint32_t index = free_[size];
  if (index != 0) {
    free_[size] = static_cast<uint32_t>(nodes_[index].runs[0]);
  } else {
    index = take_fresh(cells, from_reserve ? capacity_ : capacity_ - reserve_);
    if (index == 0) return 0;
  }
  shadows_[index].cells = static_cast<uint8_t>(cells);
  ++in_use_;
  return index;
}

uint32_t FibArena::take_fresh(unsigned cells, uint32_t limit) {
  // Two cells share a pair of lines, which the processor fetches together.
  const unsigned gap = cells == 2 ? fresh_ % 2 : 0;
  if (limit < cells + gap || fresh_ > limit - cells - gap) return 0;
  memory_.touch(size_t{fresh_} * sizeof(FibNode), (cells + gap) * sizeof(FibNode));
  shadow_memory_.touch(size_t{fresh_} * sizeof(Shadow), (cells + gap) * sizeof(Shadow));
  if (gap > 0) push(0, fresh_);
  const uint32_t index = fresh_ + gap;
  fresh_ += cells + gap;
  return index;
}

void FibArena::push(unsigned size, uint32_t index) noexcept {
  nodes_[index].runs[0] = free_[size];
  free_[size] = index;
}

void FibArena::free(uint32_t index) {
  shadows_[index].prefixes.clear();
  push(size_index(shadows_[index].cells), index);
  --in_use_;
}

void FibArena::retire(Rcu& rcu, uint32_t index) {
  ++waiting_;
  rcu.retire(
      [](void* context, uint64_t argument) {
        auto* arena = static_cast<FibArena*>(context);
        arena->free(static_cast<uint32_t>(argument));
        if (--arena->waiting_ == 0 && arena->closed_) delete arena;
      },
      this, index);
}

}  // namespace weir::dataplane
