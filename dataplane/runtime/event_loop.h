// The main thread's event loop: epoll for file descriptors, one timerfd for timers.
//
// Thread safety: none. Everything, callbacks included, runs on the thread that calls
// run() or run_once(); another thread reaches it through an fd of its own (an eventfd
// that was add()ed).
// Ownership: the loop never closes an fd it was given. remove() an fd before closing it.
// Invariants: a callback may add, modify and remove any fd, its own included, and may
// start and cancel any timer; a callback is never called after its fd was removed or
// its timer cancelled, even when the event was already fetched from the kernel.
#pragma once

#include <sys/epoll.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>
#include <utility>

#include "dataplane/api/error.h"

namespace weir::dataplane {

class EventLoop {
 public:
  using Clock = std::chrono::steady_clock;
  using Callback = std::function<void(uint32_t events)>;  // EPOLLIN and friends
  using TimerCallback = std::function<void()>;
  using TimerId = uint64_t;  // never 0, never reused

  static Result<std::unique_ptr<EventLoop>> create();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Watches fd. `events` may hold EPOLLET. An fd that is there already is an error (exists).
  Status add(int fd, uint32_t events, Callback callback);
  // Changes the events of an fd that was added (not_found otherwise).
  Status modify(int fd, uint32_t events);
  // Unknown fds are ignored.
  void remove(int fd);

  // Calls back once after `delay`.
  TimerId timer(std::chrono::nanoseconds delay, TimerCallback callback);
  // Calls back every `period`; calls that were missed are not made up for.
  TimerId every(std::chrono::nanoseconds period, TimerCallback callback);
  // Unknown and past timers are ignored.
  void cancel(TimerId timer);

  // Until stop().
  void run();
  // Waits at most `timeout` (negative: for ever) for one round of events and handles it.
  // Returns how many callbacks ran.
  size_t run_once(std::chrono::milliseconds timeout);
  // From a callback: run() returns after this round.
  void stop() noexcept { stopped_ = true; }

 private:
  struct Watch {
    int fd;
    Callback callback;
  };
  struct Timer {
    Clock::time_point due;
    Clock::duration period;  // zero: once
    TimerCallback callback;
  };

  EventLoop(int epoll_fd, int timer_fd) : epoll_fd_(epoll_fd), timer_fd_(timer_fd) {}
  TimerId start_timer(Clock::duration delay, Clock::duration period, TimerCallback callback);
  void set_timer_fd();
  size_t run_timers();

  int epoll_fd_;
  int timer_fd_;
  bool stopped_ = false;
  // Registrations have numbers that are never reused (fds are): an event that was
  // fetched for a removed fd finds no registration.
  uint64_t next_id_ = 1;
  std::unordered_map<int, uint64_t> ids_;
  std::unordered_map<uint64_t, std::shared_ptr<Watch>> watches_;
  std::map<std::pair<Clock::time_point, TimerId>, std::shared_ptr<Timer>> timers_;
  std::unordered_map<TimerId, Clock::time_point> timer_due_;
  Clock::time_point armed_for_ = Clock::time_point::max();
};

}  // namespace weir::dataplane
