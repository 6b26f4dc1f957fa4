// The helper thread that deals with peers' eventfds, so that no worker ever touches one.
// It waits for interrupts from peers and wakes sleeping workers; it raises interrupts
// that workers ask for; it tells the main thread of broken links.
//
// Peers' eventfds are watched edge-triggered and never read or written: see doorbell.h
// for raising. A peer that floods its eventfd is bounded by a rate for each port.
//
// Thread safety: ring() by workers; everything else by the main thread.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "dataplane/api/codec.h"
#include "dataplane/ports/memif/doorbell.h"

namespace weir::dataplane::memif {

// What a port's worker and the helper thread tell each other. All seq_cst: each flag is
// one half of a "set mine, then look at the other's" agreement.
struct Bell {
  std::atomic<bool> armed{false};   // written by the worker: wake me for the peer's interrupts
  std::atomic<uint32_t> raise{0};   // bits of queues; set by the worker, cleared by the helper
  std::atomic<bool> broken{false};  // set by the worker, cleared by the helper
};

class Interrupts {
 public:
  using Id = uint64_t;

  // `name`: of the thread, 15 bytes at most.
  static Result<std::unique_ptr<Interrupts>> create(const char* name = "memif-irq");
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  // Both callbacks run on the helper thread and must not block; none runs after
  // remove() returned. `bell` lives until then.
  Id add(Bell& bell, std::function<void()> wake, std::function<void()> broken);
  void remove(Id id);
  // The eventfds of a connected peer, checked by is_eventfd(): `watched` interrupt us,
  // `raised` (by queue) interrupt the peer. Replaces an earlier set.
  void set_peer(Id id, std::vector<api::Fd> watched, std::vector<api::Fd> raised);
  void clear_peer(Id id) { set_peer(id, {}, {}); }

  // After a flag of a bell was set. A system call only when the helper sleeps.
  void ring() noexcept;

  // Interrupts taken from peers so far. For tests and statistics, any thread.
  uint64_t taken() const noexcept { return taken_.load(std::memory_order_relaxed); }

 private:
  using Clock = std::chrono::steady_clock;

  struct Port {
    Bell* bell = nullptr;
    std::function<void()> wake;
    std::function<void()> broken;
    std::vector<api::Fd> watched;
    std::vector<api::Fd> raised;
    double tokens = 0;
    Clock::time_point refilled;
    Clock::time_point paused_until;  // epoch: not paused
  };

  Interrupts(api::Fd epoll, api::Fd self, Doorbell doorbell);
  void run();
  void watch(Id id, const Port& port, int operation);
  void serve_bells();
  void take_interrupt(Id id);
  int resume_paused();
  static bool take_token(Port& port, Clock::time_point now);

  api::Fd epoll_;
  api::Fd self_;  // wakes the helper
  Doorbell doorbell_;
  std::atomic<bool> sleeping_{false};  // written by the helper and by who wakes it
  std::atomic<bool> stop_{false};      // written by the destructor, read by the helper
  std::atomic<uint64_t> taken_{0};     // written by the helper
  std::mutex mutex_;                   // guards what follows; never held over a wait
  Id next_id_ = 1;                     // 0 is self_
  std::unordered_map<Id, Port> ports_;
  size_t paused_ = 0;
  std::thread thread_;
};

// Whether a descriptor is an eventfd. Asks the kernel, never the file.
bool is_eventfd(int fd);

}  // namespace weir::dataplane::memif
