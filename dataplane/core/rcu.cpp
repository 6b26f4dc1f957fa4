#include "dataplane/core/rcu.h"

#include <rte_rcu_qsbr.h>

#include <cstdlib>
#include <new>

namespace weir::dataplane {

void Rcu::Free::operator()(rte_rcu_qsbr* qsbr) const noexcept { std::free(qsbr); }

Rcu::Rcu(uint32_t max_workers) {
  const size_t size = rte_rcu_qsbr_get_memsize(max_workers);
  qsbr_.reset(static_cast<rte_rcu_qsbr*>(std::aligned_alloc(RTE_CACHE_LINE_SIZE, (size + 63) / 64 * 64)));
  if (!qsbr_) throw std::bad_alloc();
  rte_rcu_qsbr_init(qsbr_.get(), max_workers);
}

Rcu::~Rcu() {
  // A retired object may retire others.
  while (!pending_.empty()) {
    const Retired retired = pending_.front();
    pending_.pop_front();
    retired.fn(retired.context, retired.argument);
  }
}

void Rcu::register_worker(uint32_t worker) { rte_rcu_qsbr_thread_register(qsbr_.get(), worker); }
void Rcu::unregister_worker(uint32_t worker) { rte_rcu_qsbr_thread_unregister(qsbr_.get(), worker); }
void Rcu::online(uint32_t worker) noexcept { rte_rcu_qsbr_thread_online(qsbr_.get(), worker); }
void Rcu::offline(uint32_t worker) noexcept { rte_rcu_qsbr_thread_offline(qsbr_.get(), worker); }
void Rcu::quiescent(uint32_t worker) noexcept { rte_rcu_qsbr_quiescent(qsbr_.get(), worker); }

void Rcu::retire(void (*fn)(void*, uint64_t), void* context, uint64_t argument) {
  pending_.push_back({rte_rcu_qsbr_start(qsbr_.get()), fn, context, argument});
}

void Rcu::retire(std::function<void()> fn) {
  auto* owned = new std::function<void()>(std::move(fn));
  retire(
      [](void* p, uint64_t) {
        const std::unique_ptr<std::function<void()>> call(static_cast<std::function<void()>*>(p));
        (*call)();
      },
      owned, 0);
}

size_t Rcu::reclaim() {
  while (!pending_.empty() && rte_rcu_qsbr_check(qsbr_.get(), pending_.front().token, false) == 1) {
    const Retired retired = pending_.front();
    pending_.pop_front();
    retired.fn(retired.context, retired.argument);
  }
  return pending_.size();
}

}  // namespace weir::dataplane
