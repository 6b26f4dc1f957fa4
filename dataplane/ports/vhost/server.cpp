#include "dataplane/ports/vhost/server.h"

namespace weir::dataplane::vhost {

Server::Server(EventLoop& loop, memif::PathSocket socket, DeviceConfig device, Callbacks callbacks)
    : Control(loop, device, std::move(callbacks)),
      acceptor_(loop, std::move(socket), lane_, [this](api::Fd peer) { on_accept(std::move(peer)); }) {}

Server::~Server() { end(); }

Status Server::start() { return acceptor_.start(); }

void Server::hang_up(std::chrono::milliseconds delay) {
  end();
  refuse_until_ = EventLoop::Clock::now() + delay;
}

void Server::on_accept(api::Fd socket) {
  // The restarted front-end may be here before the end of its predecessor was seen.
  if (channel_ && channel_->hung_up()) on_failure("front-end is gone");
  // The protocol has no words for a refusal: who is not wanted is hung up on.
  if (channel_ || EventLoop::Clock::now() < refuse_until_) {
    lane_.close_socket(std::move(socket));
  } else if (const Status begun = begin(std::move(socket)); !begun) {
    on_failure(begun.error().text);
  }
}

}  // namespace weir::dataplane::vhost
