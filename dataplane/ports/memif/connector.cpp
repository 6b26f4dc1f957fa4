#include "dataplane/ports/memif/connector.h"

#include <algorithm>

#include "dataplane/ports/memif/path_socket.h"

namespace weir::dataplane::memif {

Connector::~Connector() {
  end("port removed", true);
  loop_.cancel(retry_);
}

// A server that is not there yet is no error. From the loop, so that who made the port
// hears of everything the same way.
Status Connector::start() {
  retry_after(std::chrono::milliseconds(0));
  return {};
}

void Connector::hang_up(const std::string& reason, std::chrono::milliseconds delay) {
  end(reason, true);
  retry_after(delay);
}

void Connector::retry_after(std::chrono::milliseconds delay) {
  loop_.cancel(retry_);
  retry_ = loop_.timer(delay, [this] { try_connect(); });
}

void Connector::try_connect() {
  Result<api::Fd> socket = connect_socket(path_);
  if (!socket) return on_failure(socket.error().text, false);
  handshake_.emplace(config_);
  if (const Status begun = begin(std::move(*socket), "server"); !begun)
    on_failure(begun.error().text, true);
}

bool Connector::on_message(const Message& message, std::vector<api::Fd>& fds) {
  auto request = fds.empty() ? handshake_->receive(message)
                             : Error{ErrorCode::invalid_argument, "unexpected file descriptor"};
  if (!request) {
    on_failure(request.error().text, true);
    return false;
  }
  if (*request && !channel_->send((*request)->message, (*request)->fd)) {
    on_failure("server does not read its socket", false);
    return false;
  }
  channel_->expect_message(!handshake_->complete());
  if (!handshake_->complete()) return true;
  Session& session = handshake_->session();
  session.credentials = channel_->credentials();
  connected_at_ = EventLoop::Clock::now();
  callbacks_.connected(session);
  return true;
}

// A server that accepts and leaves at once is given no more of the main thread than one
// that is not there.
void Connector::on_failure(const std::string& reason, bool tell) {
  const bool lasted = handshake_ && handshake_->complete() &&
                      EventLoop::Clock::now() - connected_at_ > kLongestPause;
  Control::on_failure(reason, tell);
  if (lasted) pause_ = kFirstPause;
  retry_after(pause_);
  pause_ = std::min(2 * pause_, kLongestPause);
}

}  // namespace weir::dataplane::memif
