#include "dataplane/ports/memif/listener.h"

namespace weir::dataplane::memif {

Listener::Listener(EventLoop& loop, PathSocket socket, HandshakeConfig config, Callbacks callbacks)
    : Control(loop, std::move(callbacks)),
      acceptor_(loop, std::move(socket), lane_, [this](api::Fd peer) { on_accept(std::move(peer)); }),
      config_(std::move(config)) {}

Listener::~Listener() { end("port removed", true); }

Status Listener::start() { return acceptor_.start(); }

void Listener::hang_up(const std::string& reason, std::chrono::milliseconds delay) {
  end(reason, true);
  refuse_until_ = EventLoop::Clock::now() + delay;
  refuse_reason_ = reason;
}

void Listener::on_accept(api::Fd socket) {
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
