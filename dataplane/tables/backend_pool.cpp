#include "dataplane/tables/backend_pool.h"

namespace weir::dataplane {

BackendPool::BackendPool(Rcu& rcu, uint32_t capacity)
    : rcu_(rcu),
      capacity_(capacity),
      alive_memory_(size_t{capacity} * sizeof(*alive_), {}),
      address_memory_(size_t{capacity} * sizeof(*addresses_), {}),
      held_memory_(size_t{capacity} * sizeof(*held_), {}),
      alive_(alive_memory_.as<std::atomic<uint32_t>>()),
      addresses_(address_memory_.as<BackendAddress>()),
      held_(held_memory_.as<std::atomic<uint64_t>>()),
      owners_(1) {
  touch(kNoBackend);
  alive_[kNoBackend].store(1, std::memory_order_relaxed);  // no worker runs yet
}

BackendPool::~BackendPool() {
  while (leaving_ > 0) rcu_.reclaim();
}

Result<BackendId> BackendPool::add(uint64_t group, const BackendAddress& address) {
  auto id = static_cast<BackendId>(owners_.size());
  if (!free_.empty()) {
    id = free_.back();
    free_.pop_back();
  } else if (id == capacity_) {
    return {ErrorCode::limit, "the dataplane has no room for more than " +
                                  std::to_string(capacity_ - 1) +
                                  " backends; remove services that nobody needs"};
  } else {
    touch(id);
    owners_.emplace_back();
  }
  owners_[id] = {.group = group};
  addresses_[id] = address;
  // relaxed: a worker learns the number from a table that is published later
  alive_[id].store(1, std::memory_order_relaxed);
  ++in_use_;
  return id;
}

void BackendPool::touch(BackendId id) {
  alive_memory_.touch(size_t{id} * sizeof(*alive_), sizeof(*alive_));
  address_memory_.touch(size_t{id} * sizeof(*addresses_), sizeof(*addresses_));
  held_memory_.touch(size_t{id} * sizeof(*held_), sizeof(*held_));
}

void BackendPool::leave(BackendId id) {
  alive_[id].store(0, std::memory_order_relaxed);
  ++leaving_;
  rcu_.retire(
      [](void* context, uint64_t number) {
        auto* pool = static_cast<BackendPool*>(context);
        const auto gone = static_cast<BackendId>(number);
        --pool->leaving_;
        pool->owners_[gone].gone = true;
        if (pool->held_[gone].load(std::memory_order_relaxed) == 0) pool->free(gone);
      },
      this, id);
}

void BackendPool::release(BackendId id, BackendHolder holder) {
  const auto one = static_cast<uint64_t>(holder);
  if (held_[id].fetch_sub(one, std::memory_order_relaxed) == one && owners_[id].gone) free(id);
}

void BackendPool::free(BackendId id) {
  owners_[id] = {};
  free_.push_back(id);
  --in_use_;
}

size_t BackendPool::memory_bytes() const noexcept {
  return alive_memory_.touched_bytes() + address_memory_.touched_bytes() +
         held_memory_.touched_bytes() + owners_.capacity() * sizeof(Owner) +
         free_.capacity() * sizeof(BackendId);
}

}  // namespace weir::dataplane
