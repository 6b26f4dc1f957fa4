#include "dataplane/ports/vhost/server.h"

#include <cerrno>

namespace weir::dataplane::vhost {

namespace {

// A pod that connects in a loop gets this much of the main thread and no more.
constexpr unsigned kAcceptsPerWindow = 16;
constexpr std::chrono::milliseconds kAcceptWindow{100};
// Descriptors that hang in close() because the peer wants it so.
constexpr size_t kMaxUndisposed = 256;

}  // namespace

Server::~Server() {
  end();
  loop_.cancel(resume_);
  loop_.remove(listener_.fd());
}

Status Server::start() {
  return loop_.add(listener_.fd(), EPOLLIN, [this](uint32_t) { on_accept(); });
}

void Server::hang_up(std::chrono::milliseconds delay) {
  end();
  refuse_until_ = EventLoop::Clock::now() + delay;
}

void Server::on_accept() {
  if (!may_accept()) return pause_accepting();
  api::Fd socket(accept4(listener_.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!socket) {
    // Out of descriptors or memory: the listener stays readable, so do not spin on it.
    if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) pause_accepting();
    return;
  }
  // The restarted front-end may be here before the end of its predecessor was seen.
  if (channel_ && channel_->hung_up()) on_failure("front-end is gone");
  // The protocol has no words for a refusal: who is not wanted is hung up on.
  if (channel_ || EventLoop::Clock::now() < refuse_until_) {
    lane_.close_socket(std::move(socket));
  } else if (const Status begun = begin(std::move(socket)); !begun) {
    on_failure(begun.error().text);
  }
}

bool Server::may_accept() {
  const auto now = EventLoop::Clock::now();
  if (now - window_ >= kAcceptWindow) {
    window_ = now;
    accepted_ = 0;
  }
  return accepted_++ < kAcceptsPerWindow && lane_.pending() < kMaxUndisposed;
}

void Server::pause_accepting() {
  if (!loop_.modify(listener_.fd(), 0)) return;
  loop_.cancel(resume_);
  resume_ = loop_.timer(kAcceptWindow, [this] {
    [[maybe_unused]] const Status resumed = loop_.modify(listener_.fd(), EPOLLIN);
  });
}

}  // namespace weir::dataplane::vhost
