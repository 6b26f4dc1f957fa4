// Grace periods: unlink -> retire -> (every worker was quiescent) -> free.
//
// Thread safety: register_worker, retire and reclaim by the main thread; quiescent,
// online and offline by the worker with that number. Nothing blocks.
// Invariants: what a worker loaded from a published pointer stays valid until that
// worker's next quiescent() or offline().
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>

struct rte_rcu_qsbr;

namespace weir::dataplane {

class Rcu {
 public:
  explicit Rcu(uint32_t max_workers);
  ~Rcu();  // frees all that is pending; no worker may run any more
  Rcu(const Rcu&) = delete;
  Rcu& operator=(const Rcu&) = delete;

  void register_worker(uint32_t worker);    // starts offline
  void unregister_worker(uint32_t worker);  // must be offline
  void online(uint32_t worker) noexcept;
  void offline(uint32_t worker) noexcept;
  void quiescent(uint32_t worker) noexcept;

  // Calls fn(context, argument) on the main thread after a grace period. Cheap:
  // tables retire many objects at once.
  void retire(void (*fn)(void*, uint64_t), void* context, uint64_t argument);
  void retire(std::function<void()> fn);
  template <class T>
  void retire_delete(const T* object) {
    if (object == nullptr) return;
    retire([](void* p, uint64_t) { delete static_cast<T*>(p); }, const_cast<T*>(object), 0);
  }

  // Runs what is due. Returns how many objects still wait. Call it often.
  size_t reclaim();
  size_t pending() const noexcept { return pending_.size(); }

 private:
  struct Retired {
    uint64_t token;
    void (*fn)(void*, uint64_t);
    void* context;
    uint64_t argument;
  };
  struct Free {
    void operator()(rte_rcu_qsbr* qsbr) const noexcept;
  };
  std::unique_ptr<rte_rcu_qsbr, Free> qsbr_;
  std::deque<Retired> pending_;
};

}  // namespace weir::dataplane
