#include "dataplane/ports/memif/interrupts.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <string_view>
#include <system_error>

namespace weir::dataplane::memif {

namespace {

// An honest peer interrupts only a worker that sleeps: a few thousand times a second.
constexpr double kTokensPerSecond = 5000;
constexpr double kTokenBurst = 512;
constexpr std::chrono::milliseconds kPause{2};  // deafness of a port that ran out

}  // namespace

bool is_eventfd(int fd) {
  std::array<char, 32> target{};
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t length = readlink(link.c_str(), target.data(), target.size());
  return length > 0 &&
         std::string_view(target.data(), static_cast<size_t>(length)) == "anon_inode:[eventfd]";
}

Result<std::unique_ptr<Interrupts>> Interrupts::create(const char* name) {
  Result<Doorbell> doorbell = Doorbell::create();
  if (!doorbell) return doorbell.error();
  api::Fd epoll(epoll_create1(EPOLL_CLOEXEC));
  api::Fd self(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!epoll || !self) return errno_error("cannot make descriptors for memif interrupts", errno);
  // Edge-triggered and never read, like the peers': every write is one event.
  epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.u64 = 0}};
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, self.get(), &event) != 0) {
    return errno_error("cannot watch memif interrupts", errno);
  }
  std::unique_ptr<Interrupts> interrupts(
      new Interrupts(std::move(epoll), std::move(self), std::move(*doorbell)));
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // signals are the main thread's
  Status started;
  try {
    interrupts->thread_ = std::thread(&Interrupts::run, interrupts.get());
  } catch (const std::system_error& failure) {
    started = Status(ErrorCode::unavailable,
                     std::string("cannot start the memif thread: ") + failure.what());
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (!started) return started.error();
  pthread_setname_np(interrupts->thread_.native_handle(), name);
  return interrupts;
}

Interrupts::Interrupts(api::Fd epoll, api::Fd self, Doorbell doorbell)
    : epoll_(std::move(epoll)), self_(std::move(self)), doorbell_(std::move(doorbell)) {}

Interrupts::~Interrupts() {
  if (!thread_.joinable()) return;
  stop_.store(true);
  eventfd_write(self_.get(), 1);
  thread_.join();
}

Interrupts::Id Interrupts::add(Bell& bell, std::function<void()> wake,
                               std::function<void()> broken) {
  const std::lock_guard lock(mutex_);
  const Id id = next_id_++;
  Port& port = ports_[id];
  port.bell = &bell;
  port.wake = std::move(wake);
  port.broken = std::move(broken);
  port.tokens = kTokenBurst;
  port.refilled = Clock::now();
  return id;
}

void Interrupts::remove(Id id) {
  clear_peer(id);
  const std::lock_guard lock(mutex_);
  ports_.erase(id);
}

void Interrupts::set_peer(Id id, std::vector<api::Fd> watched, std::vector<api::Fd> raised) {
  const std::lock_guard lock(mutex_);
  const auto found = ports_.find(id);
  if (found == ports_.end()) return;
  Port& port = found->second;
  if (port.paused_until != Clock::time_point{}) {
    port.paused_until = {};
    --paused_;
  } else {
    watch(id, port, EPOLL_CTL_DEL);
  }
  port.watched = std::move(watched);
  port.raised = std::move(raised);
  watch(id, port, EPOLL_CTL_ADD);
}

void Interrupts::watch(Id id, const Port& port, int operation) {
  for (const api::Fd& fd : port.watched) {
    epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.u64 = id}};
    epoll_ctl(epoll_.get(), operation, fd.get(), &event);
  }
}

void Interrupts::ring() noexcept {
  // The caller set its flag before; the helper sets sleeping_, then looks at the flags.
  if (sleeping_.load() && sleeping_.exchange(false)) eventfd_write(self_.get(), 1);
}

void Interrupts::run() {
  std::array<epoll_event, 64> events;
  while (!stop_.load()) {
    sleeping_.store(true);
    serve_bells();
    const int timeout = resume_paused();
    const int count =
        epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout);
    sleeping_.store(false);
    for (int i = 0; i < count; ++i) {
      const Id id = events[static_cast<size_t>(i)].data.u64;
      if (id != 0) take_interrupt(id);
    }
  }
}

void Interrupts::serve_bells() {
  const std::lock_guard lock(mutex_);
  std::vector<int> raised;
  for (auto& [id, port] : ports_) {
    const uint32_t queues = port.bell->raise.load() == 0 ? 0 : port.bell->raise.exchange(0);
    for (size_t i = 0; i < port.raised.size(); ++i) {
      if ((queues >> i & 1) != 0) raised.push_back(port.raised[i].get());
    }
    if (port.bell->broken.load() && port.bell->broken.exchange(false)) port.broken();
  }
  doorbell_.raise(raised);
}

void Interrupts::take_interrupt(Id id) {
  const std::lock_guard lock(mutex_);
  const auto found = ports_.find(id);
  if (found == ports_.end()) return;  // removed after the event was fetched
  Port& port = found->second;
  if (port.paused_until != Clock::time_point{}) return;
  taken_.fetch_add(1, std::memory_order_relaxed);
  if (port.bell->armed.load()) port.wake();
  const Clock::time_point now = Clock::now();
  if (take_token(port, now)) return;
  watch(id, port, EPOLL_CTL_DEL);
  port.paused_until = now + kPause;
  ++paused_;
}

// Watches again what was paused long enough (a raised eventfd reports at once, so no
// interrupt is lost). Returns milliseconds until the next is due, -1 for none.
int Interrupts::resume_paused() {
  const std::lock_guard lock(mutex_);
  if (paused_ == 0) return -1;
  const Clock::time_point now = Clock::now();
  for (auto& [id, port] : ports_) {
    if (port.paused_until == Clock::time_point{} || port.paused_until > now) continue;
    port.paused_until = {};
    --paused_;
    watch(id, port, EPOLL_CTL_ADD);
  }
  return paused_ == 0 ? -1 : static_cast<int>(kPause.count());
}

bool Interrupts::take_token(Port& port, Clock::time_point now) {
  const double seconds = std::chrono::duration<double>(now - port.refilled).count();
  port.refilled = now;
  port.tokens = std::min(kTokenBurst, port.tokens + seconds * kTokensPerSecond);
  if (port.tokens < 1) return false;
  port.tokens -= 1;
  return true;
}

}  // namespace weir::dataplane::memif
