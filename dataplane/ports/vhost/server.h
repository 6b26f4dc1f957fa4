// The server's control side: listens on the port's socket and admits one front-end at a time.
#pragma once

#include "dataplane/ports/memif/path_socket.h"
#include "dataplane/ports/vhost/control.h"

namespace weir::dataplane::vhost {

class Server final : public Control {
 public:
  Server(EventLoop& loop, memif::PathSocket socket, DeviceConfig device, Callbacks callbacks)
      : Control(loop, device, std::move(callbacks)), listener_(std::move(socket)) {}
  ~Server() override;

  Status start() override;
  void hang_up(std::chrono::milliseconds delay) override;

 private:
  void on_accept();
  bool may_accept();
  void pause_accepting();

  memif::PathSocket listener_;
  EventLoop::TimerId resume_ = 0;  // runs while the listener is paused
  EventLoop::Clock::time_point window_{};
  unsigned accepted_ = 0;  // in this window
  EventLoop::Clock::time_point refuse_until_{};
};

}  // namespace weir::dataplane::vhost
