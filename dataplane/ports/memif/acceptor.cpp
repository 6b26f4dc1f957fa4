#include "dataplane/ports/memif/acceptor.h"

#include <cerrno>

namespace weir::dataplane::memif {

namespace {

// A pod that connects in a loop gets this much of the main thread and no more.
constexpr unsigned kAcceptsPerWindow = 16;
constexpr std::chrono::milliseconds kAcceptWindow{100};
// Descriptors that hang in close() because the peer wants it so.
constexpr size_t kMaxUndisposed = 256;

}  // namespace

Acceptor::Acceptor(EventLoop& loop, PathSocket socket, const DisposalLane& lane,
                   std::function<void(api::Fd)> accepted)
    : loop_(loop), listener_(std::move(socket)), lane_(lane), accepted_(std::move(accepted)) {}

Acceptor::~Acceptor() {
  loop_.cancel(resume_);
  loop_.remove(listener_.fd());
}

Status Acceptor::start() {
  return loop_.add(listener_.fd(), EPOLLIN, [this](uint32_t) { on_readable(); });
}

void Acceptor::on_readable() {
  if (!may_accept()) return pause();
  api::Fd socket(accept4(listener_.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (socket) return accepted_(std::move(socket));
  // Out of descriptors or memory: the listener stays readable, so do not spin on it.
  if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) pause();
}

bool Acceptor::may_accept() {
  const auto now = EventLoop::Clock::now();
  if (now - window_ >= kAcceptWindow) {
    window_ = now;
    in_window_ = 0;
  }
  return in_window_++ < kAcceptsPerWindow && lane_.pending() < kMaxUndisposed;
}

void Acceptor::pause() {
  if (!loop_.modify(listener_.fd(), 0)) return;
  loop_.cancel(resume_);
  resume_ = loop_.timer(kAcceptWindow, [this] {
    [[maybe_unused]] const Status resumed = loop_.modify(listener_.fd(), EPOLLIN);
  });
}

}  // namespace weir::dataplane::memif
