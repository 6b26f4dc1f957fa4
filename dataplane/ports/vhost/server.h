// The server's control side: listens on the port's socket and admits one front-end at a time.
#pragma once

#include "dataplane/ports/memif/acceptor.h"
#include "dataplane/ports/vhost/control.h"

namespace weir::dataplane::vhost {

class Server final : public Control {
 public:
  Server(EventLoop& loop, memif::PathSocket socket, DeviceConfig device, Callbacks callbacks);
  ~Server() override;

  Status start() override;
  void hang_up(std::chrono::milliseconds delay) override;

 private:
  void on_accept(api::Fd socket);

  memif::Acceptor acceptor_;
  EventLoop::Clock::time_point refuse_until_{};
};

}  // namespace weir::dataplane::vhost
