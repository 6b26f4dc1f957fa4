// The client's control side: connects to the front-end's socket (QEMU or virtio-user as
// server), again and again with growing pauses.
#pragma once

#include "dataplane/ports/vhost/control.h"

namespace weir::dataplane::vhost {

class Client final : public Control {
 public:
  static constexpr std::chrono::milliseconds kFirstPause{50};
  static constexpr std::chrono::milliseconds kLongestPause{1000};

  Client(EventLoop& loop, std::string path, DeviceConfig device, Callbacks callbacks)
      : Control(loop, device, std::move(callbacks)), path_(std::move(path)) {}
  ~Client() override;

  Status start() override;
  void hang_up(std::chrono::milliseconds delay) override;

 private:
  void try_connect();
  void retry_after(std::chrono::milliseconds delay);
  void on_failure(const std::string& reason) override;

  std::string path_;
  EventLoop::TimerId retry_ = 0;
  std::chrono::milliseconds pause_ = kFirstPause;
  EventLoop::Clock::time_point connected_at_{};
};

}  // namespace weir::dataplane::vhost
