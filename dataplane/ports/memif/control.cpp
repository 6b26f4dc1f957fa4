#include "dataplane/ports/memif/control.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

namespace weir::dataplane::memif {

namespace {

// A pod that connects in a loop gets this much of the main thread and no more.
constexpr unsigned kAcceptsPerWindow = 16;
constexpr std::chrono::milliseconds kAcceptWindow{100};
// Descriptors that hang in close() because the peer wants it so.
constexpr size_t kMaxUndisposed = 256;
constexpr int kMessagesAtOnce = 8;

bool send_message(int socket, const Message& message) {
  return send(socket, &message, sizeof message, MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof message;
}

bool hung_up(int socket) {
  pollfd state{.fd = socket, .events = POLLRDHUP, .revents = 0};
  return poll(&state, 1, 0) == 1 && (state.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

ucred credentials(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size);
  return peer;
}

}  // namespace

Control::Control(EventLoop& loop, PathSocket socket, HandshakeConfig config, Callbacks callbacks)
    : loop_(loop),
      listener_(std::move(socket)),
      config_(std::move(config)),
      callbacks_(std::move(callbacks)) {}

Control::~Control() {
  hang_up("port removed");
  loop_.cancel(resume_);
  loop_.remove(listener_.fd());
}

Status Control::start() {
  return loop_.add(listener_.fd(), EPOLLIN, [this](uint32_t) { on_accept(); });
}

void Control::hang_up(const std::string& reason) {
  if (!channel_) return;
  send_last(channel_->socket.get(), reason);
  close_channel();
}

void Control::refuse_for(std::chrono::milliseconds delay, std::string reason) {
  refuse_until_ = EventLoop::Clock::now() + delay;
  refuse_reason_ = std::move(reason);
}

// Before a socket is closed; a peer that does not read loses the message.
void Control::send_last(int socket, const std::string& reason) const {
  [[maybe_unused]] const bool sent = send_message(socket, make_disconnect(reason));
}

void Control::on_accept() {
  if (!may_accept()) return pause_accepting();
  api::Fd socket(accept4(listener_.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!socket) {
    // Out of descriptors or memory: the listener stays readable, so do not spin on it.
    if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) pause_accepting();
    return;
  }
  // The restarted client may be here before the end of its predecessor was seen.
  if (channel_ && hung_up(channel_->socket.get())) drop("client is gone", false);
  if (channel_) {
    send_last(socket.get(), "another client is connected");
  } else if (EventLoop::Clock::now() < refuse_until_) {
    send_last(socket.get(), refuse_reason_);
  } else {
    return admit(std::move(socket));
  }
  lane_.close_socket(std::move(socket));
}

bool Control::may_accept() {
  const auto now = EventLoop::Clock::now();
  if (now - window_ >= kAcceptWindow) {
    window_ = now;
    accepted_ = 0;
  }
  return accepted_++ < kAcceptsPerWindow && lane_.pending() < kMaxUndisposed;
}

void Control::pause_accepting() {
  if (!loop_.modify(listener_.fd(), 0)) return;
  loop_.cancel(resume_);
  resume_ = loop_.timer(kAcceptWindow, [this] {
    [[maybe_unused]] const Status resumed = loop_.modify(listener_.fd(), EPOLLIN);
  });
}

void Control::admit(api::Fd socket) {
  channel_.emplace(std::move(socket), config_);
  const Status watched =
      loop_.add(channel_->socket.get(), EPOLLIN, [this](uint32_t) { on_message(); });
  if (!watched) return drop(watched.error().text, true);
  if (!send_message(channel_->socket.get(), channel_->handshake.hello()))
    return drop("client is gone", false);
  set_deadline();
}

void Control::set_deadline() {
  loop_.cancel(channel_->deadline);
  if (channel_->handshake.complete()) return;
  channel_->deadline =
      loop_.timer(kMessageDeadline, [this] { drop("no message within one second", true); });
}

void Control::on_message() {
  for (int i = 0; i < kMessagesAtOnce; ++i) {
    if (!channel_ || !read_message()) return;
  }
}

// False when there is no more to read now, or for ever.
bool Control::read_message() {
  Message message = make_message(MessageType::none);
  bool truncated = false;
  std::vector<api::Fd> fds;
  const ssize_t got =
      receive_message(channel_->socket.get(), &message, sizeof message, fds, truncated);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  bool more = false;
  if (got <= 0) {
    drop("client is gone", false);
  } else if (got != sizeof message || truncated) {
    drop("message is not 128 bytes long", true);
  } else {
    more = handle(message, fds);
  }
  lane_.close(std::move(fds));
  return more;
}

bool Control::handle(const Message& message, std::vector<api::Fd>& fds) {
  if (message.type == MessageType::disconnect) {
    const auto& text = message.disconnect.text;
    drop("client disconnected: " + printable(text.data(), text.size()), false);
    return false;
  }
  const Result<Message> reply = channel_->handshake.receive(message, fds);
  if (!reply) {
    drop(reply.error().text, true);
    return false;
  }
  set_deadline();
  if (channel_->handshake.complete()) {
    Session& session = channel_->handshake.session();
    session.credentials = credentials(channel_->socket.get());
    callbacks_.connected(session);
  }
  if (!send_message(channel_->socket.get(), *reply)) {
    drop("client does not read its socket", false);
    return false;
  }
  return true;
}

void Control::close_channel() {
  loop_.cancel(channel_->deadline);
  loop_.remove(channel_->socket.get());
  lane_.close_socket(std::move(channel_->socket));
  channel_.reset();
}

void Control::drop(const std::string& reason, bool tell) {
  if (tell) send_last(channel_->socket.get(), reason);
  close_channel();
  callbacks_.disconnected(reason);
}

}  // namespace weir::dataplane::memif
