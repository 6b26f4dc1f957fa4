// The server's control side: listens on the port's socket, admits one client at a time
// and carries messages between it and the Handshake.
#pragma once

#include "dataplane/ports/memif/acceptor.h"
#include "dataplane/ports/memif/control.h"

namespace weir::dataplane::memif {

class Listener final : public Control {
 public:
  Listener(EventLoop& loop, PathSocket socket, HandshakeConfig config, Callbacks callbacks);
  ~Listener() override;

  Status start() override;
  void hang_up(const std::string& reason, std::chrono::milliseconds delay) override;

 private:
  void on_accept(api::Fd socket);
  void admit(api::Fd socket);
  bool on_message(const Message& message, std::vector<api::Fd>& fds) override;
  void forget() override { handshake_.reset(); }

  Acceptor acceptor_;
  HandshakeConfig config_;
  std::optional<Handshake> handshake_;  // of channel_'s client
  EventLoop::Clock::time_point refuse_until_{};
  std::string refuse_reason_;
};

}  // namespace weir::dataplane::memif
