#include "dataplane/ports/vhost/client.h"

#include <algorithm>

#include "dataplane/ports/memif/path_socket.h"

namespace weir::dataplane::vhost {

Client::~Client() {
  end();
  loop_.cancel(retry_);
}

// A front-end that is not there yet is no error.
Status Client::start() {
  retry_after(std::chrono::milliseconds(0));
  return {};
}

void Client::hang_up(std::chrono::milliseconds delay) {
  end();
  retry_after(delay);
}

void Client::retry_after(std::chrono::milliseconds delay) {
  loop_.cancel(retry_);
  retry_ = loop_.timer(delay, [this] { try_connect(); });
}

void Client::try_connect() {
  Result<api::Fd> socket = memif::connect_socket(path_, SOCK_STREAM);
  if (!socket) return on_failure(socket.error().text);
  connected_at_ = EventLoop::Clock::now();
  if (const Status begun = begin(std::move(*socket)); !begun) on_failure(begun.error().text);
}

// A front-end that accepts and leaves at once is given no more of the main thread than one
// that is not there.
void Client::on_failure(const std::string& reason) {
  const bool lasted = channel_ && EventLoop::Clock::now() - connected_at_ > kLongestPause;
  Control::on_failure(reason);
  if (lasted) pause_ = kFirstPause;
  retry_after(pause_);
  pause_ = std::min(2 * pause_, kLongestPause);
}

}  // namespace weir::dataplane::vhost
