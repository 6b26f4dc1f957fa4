#include "dataplane/runtime/event_loop.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace weir::dataplane {

namespace {

constexpr uint64_t kTimerEvent = 0;  // registrations start at 1

}  // namespace

Result<std::unique_ptr<EventLoop>> EventLoop::create() {
  const int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) return errno_error("cannot create an epoll instance", errno);
  const int timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (timer_fd < 0) {
    const int error = errno;
    close(epoll_fd);
    return errno_error("cannot create a timerfd", error);
  }
  std::unique_ptr<EventLoop> loop(new EventLoop(epoll_fd, timer_fd));
  epoll_event event{.events = EPOLLIN, .data = {.u64 = kTimerEvent}};
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer_fd, &event) != 0) {
    return errno_error("cannot watch a timerfd", errno);
  }
  return loop;
}

EventLoop::~EventLoop() {
  close(timer_fd_);
  close(epoll_fd_);
}

Status EventLoop::add(int fd, uint32_t events, Callback callback) {
  if (ids_.contains(fd)) return {ErrorCode::exists, "the file descriptor is watched already"};
  const uint64_t id = next_id_++;
  epoll_event event{.events = events, .data = {.u64 = id}};
  if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) != 0) {
    return errno_error("cannot watch a file descriptor", errno);
  }
  ids_[fd] = id;
  watches_[id] = std::make_shared<Watch>(Watch{fd, std::move(callback)});
  return {};
}

Status EventLoop::modify(int fd, uint32_t events) {
  const auto found = ids_.find(fd);
  if (found == ids_.end()) return {ErrorCode::not_found, "the file descriptor is not watched"};
  epoll_event event{.events = events, .data = {.u64 = found->second}};
  if (epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, fd, &event) != 0) {
    return errno_error("cannot change the events of a file descriptor", errno);
  }
  return {};
}

void EventLoop::remove(int fd) {
  const auto found = ids_.find(fd);
  if (found == ids_.end()) return;
  epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);
  watches_.erase(found->second);
  ids_.erase(found);
}

EventLoop::TimerId EventLoop::timer(std::chrono::nanoseconds delay, TimerCallback callback) {
  return start_timer(delay, Clock::duration::zero(), std::move(callback));
}

EventLoop::TimerId EventLoop::every(std::chrono::nanoseconds period, TimerCallback callback) {
  const Clock::duration at_least = std::max<Clock::duration>(period, std::chrono::microseconds(1));
  return start_timer(at_least, at_least, std::move(callback));
}

EventLoop::TimerId EventLoop::start_timer(Clock::duration delay, Clock::duration period,
                                          TimerCallback callback) {
  const TimerId id = next_id_++;
  const Clock::time_point due = Clock::now() + delay;
  timers_[{due, id}] = std::make_shared<Timer>(Timer{due, period, std::move(callback)});
  timer_due_[id] = due;
  set_timer_fd();
  return id;
}

void EventLoop::cancel(TimerId timer) {
  const auto found = timer_due_.find(timer);
  if (found == timer_due_.end()) return;
  timers_.erase({found->second, timer});
  timer_due_.erase(found);
  set_timer_fd();
}

// Arms the timerfd for the earliest timer; steady_clock is CLOCK_MONOTONIC.
void EventLoop::set_timer_fd() {
  const Clock::time_point first =
      timers_.empty() ? Clock::time_point::max() : timers_.begin()->first.first;
  if (first == armed_for_) return;
  armed_for_ = first;
  itimerspec spec{};
  if (first != Clock::time_point::max()) {
    // 0 would disarm the timer
    const auto since =
        std::max<std::chrono::nanoseconds>(first.time_since_epoch(), std::chrono::nanoseconds(1));
    spec.it_value.tv_sec = since.count() / 1'000'000'000;
    spec.it_value.tv_nsec = since.count() % 1'000'000'000;
  }
  timerfd_settime(timer_fd_, TFD_TIMER_ABSTIME, &spec, nullptr);
}

size_t EventLoop::run_timers() {
  uint64_t expirations = 0;
  // Non-blocking; what it says does not matter, the clock decides.
  [[maybe_unused]] const ssize_t got = read(timer_fd_, &expirations, sizeof expirations);
  armed_for_ = Clock::time_point::max();
  const Clock::time_point now = Clock::now();
  size_t calls = 0;
  while (!timers_.empty() && timers_.begin()->first.first <= now) {
    const auto [key, timer] = *timers_.begin();
    timers_.erase(timers_.begin());
    if (timer->period > Clock::duration::zero()) {
      // Re-armed before the call, so that the callback can cancel it; after `now`, so
      // that a slow loop is not caught here for ever.
      timer->due = std::max(timer->due + timer->period, now + Clock::duration(1));
      timers_[{timer->due, key.second}] = timer;
      timer_due_[key.second] = timer->due;
    } else {
      timer_due_.erase(key.second);
    }
    timer->callback();
    ++calls;
  }
  set_timer_fd();
  return calls;
}

size_t EventLoop::run_once(std::chrono::milliseconds timeout) {
  std::array<epoll_event, 64> events;
  const int wait = timeout.count() < 0
                       ? -1
                       : static_cast<int>(std::min<int64_t>(timeout.count(), 1'000'000'000));
  const int count = epoll_wait(epoll_fd_, events.data(), static_cast<int>(events.size()), wait);
  size_t calls = 0;
  bool timers_due = false;
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<size_t>(i)];
    const uint64_t id = event.data.u64;  // epoll_event is packed: no reference into it
    if (id == kTimerEvent) {
      timers_due = true;
      continue;
    }
    const auto found = watches_.find(id);
    if (found == watches_.end()) continue;  // removed earlier in this round
    const std::shared_ptr<Watch> watch = found->second;  // outlives a remove() inside the call
    watch->callback(event.events);
    ++calls;
  }
  // Last: whoever was in time must not be called late because this thread was.
  if (timers_due) calls += run_timers();
  return calls;
}

void EventLoop::run() {
  stopped_ = false;
  while (!stopped_) run_once(std::chrono::milliseconds(-1));
}

}  // namespace weir::dataplane
