#include "dataplane/ports/memif/listener.h"

#include <cerrno>

namespace weir::dataplane::memif {

namespace {

// A pod that connects in a loop gets this much of the main thread and no more.
constexpr unsigned kAcceptsPerWindow = 16;
constexpr std::chrono::milliseconds kAcceptWindow{100};
// Descriptors that hang in close() because the peer wants it so.
constexpr size_t kMaxUndisposed = 256;

}  // namespace

Listener::Listener(EventLoop& loop, PathSocket socket, HandshakeConfig config, Callbacks callbacks)
    : Control(loop, std::move(callbacks)),
      listener_(std::move(socket)),
      config_(std::move(config)) {}

Listener::~Listener() {
  end("port removed", true);
  loop_.cancel(resume_);
  loop_.remove(listener_.fd());
}

Status Listener::start() {
  return loop_.add(listener_.fd(), EPOLLIN, [this](uint32_t) { on_accept(); });
}

void Listener::hang_up(const std::string& reason, std::chrono::milliseconds delay) {
  end(reason, true);
  refuse_until_ = EventLoop::Clock::now() + delay;
  refuse_reason_ = reason;
}

void Listener::on_accept() {
  if (!may_accept()) return pause_accepting();
  api::Fd socket(accept4(listener_.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!socket) {
    // Out of descriptors or memory: the listener stays readable, so do not spin on it.
    if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) pause_accepting();
    return;
  }
  // The restarted client may be here before the end of its predecessor was seen.
  if (channel_ && channel_->hung_up()) on_failure("client is gone", false);
  if (channel_) {
    send_message(socket.get(), make_disconnect("another client is connected"));
  } else if (EventLoop::Clock::now() < refuse_until_) {
    send_message(socket.get(), make_disconnect(refuse_reason_));
  } else {
    return admit(std::move(socket));
  }
  lane_.close_socket(std::move(socket));
}

bool Listener::may_accept() {
  const auto now = EventLoop::Clock::now();
  if (now - window_ >= kAcceptWindow) {
    window_ = now;
    accepted_ = 0;
  }
  return accepted_++ < kAcceptsPerWindow && lane_.pending() < kMaxUndisposed;
}

void Listener::pause_accepting() {
  if (!loop_.modify(listener_.fd(), 0)) return;
  loop_.cancel(resume_);
  resume_ = loop_.timer(kAcceptWindow, [this] {
    [[maybe_unused]] const Status resumed = loop_.modify(listener_.fd(), EPOLLIN);
  });
}

void Listener::admit(api::Fd socket) {
  handshake_.emplace(config_);
  if (const Status begun = begin(std::move(socket), "client"); !begun)
    return on_failure(begun.error().text, true);
  if (!channel_->send(handshake_->hello())) on_failure("client is gone", false);
}

bool Listener::on_message(const Message& message, std::vector<api::Fd>& fds) {
  const Result<Message> reply = handshake_->receive(message, fds);
  if (!reply) {
    on_failure(reply.error().text, true);
    return false;
  }
  channel_->expect_message(!handshake_->complete());
  if (handshake_->complete()) {
    Session& session = handshake_->session();
    session.credentials = channel_->credentials();
    callbacks_.connected(session);
  }
  if (!channel_->send(*reply)) {
    on_failure("client does not read its socket", false);
    return false;
  }
  return true;
}

}  // namespace weir::dataplane::memif
