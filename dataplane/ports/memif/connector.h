// The client's control side: connects to the pod's server, again and again with growing
// pauses, and carries messages between it and the ClientHandshake.
#pragma once

#include "dataplane/ports/memif/client_handshake.h"
#include "dataplane/ports/memif/control.h"

namespace weir::dataplane::memif {

class Connector final : public Control {
 public:
  static constexpr std::chrono::milliseconds kFirstPause{50};
  static constexpr std::chrono::milliseconds kLongestPause{2000};

  Connector(EventLoop& loop, std::string path, HandshakeConfig config, Callbacks callbacks)
      : Control(loop, std::move(callbacks)), path_(std::move(path)), config_(std::move(config)) {}
  ~Connector() override;

  Status start() override;
  void hang_up(const std::string& reason, std::chrono::milliseconds delay) override;

 private:
  void try_connect();
  void retry_after(std::chrono::milliseconds delay);
  bool on_message(const Message& message, std::vector<api::Fd>& fds) override;
  void on_failure(const std::string& reason, bool tell) override;
  void forget() override { handshake_.reset(); }

  std::string path_;
  HandshakeConfig config_;
  std::optional<ClientHandshake> handshake_;  // with channel_'s server
  EventLoop::TimerId retry_ = 0;
  std::chrono::milliseconds pause_ = kFirstPause;
  EventLoop::Clock::time_point connected_at_{};
};

}  // namespace weir::dataplane::memif
