// One port's control side, in either role: the connection to one front-end at a time, and when
// its rings run. Server listens, Client connects.
//
// Before a message changes anything that rings in use depend on, they are taken from the
// worker; the message is held until a grace period later. So the worker never waits for a
// message, nor meets a half-changed ring.
//
// Threads: the event loop's, all of it.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "dataplane/ports/vhost/channel.h"
#include "dataplane/ports/vhost/device.h"

namespace weir::dataplane::vhost {

// Before a port that was lied to meets a peer again.
inline constexpr std::chrono::seconds kQuarantine{1};

class Control : protected Channel::Owner {
 public:
  struct Callbacks {
    std::function<void(const ucred& peer)> connected;
    // The device's rings can run. An error's text names the reason for the peer.
    std::function<Status(Device&)> start;
    // Ends the use of the rings. `then` is called when no worker uses them any more and the
    // device knows where they stand; never after disconnected() or hang_up().
    std::function<void(Device&, std::function<void()> then)> stop;
    // Eventfds of rings in use were replaced.
    std::function<void(Device&)> files_changed;
    std::function<void(const std::string& reason)> disconnected;  // the reason is for people
  };

  Control(EventLoop& loop, DeviceConfig device, Callbacks callbacks)
      : loop_(loop), callbacks_(std::move(callbacks)), device_config_(device) {}
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;
  ~Control() override = default;

  virtual Status start() = 0;
  // Ends the connection and takes no other until `delay` has passed. Calls no callback.
  virtual void hang_up(std::chrono::milliseconds delay) = 0;
  // Descriptors of past peers that are not closed yet.
  size_t undisposed() const { return lane_.pending(); }

 protected:
  Status begin(api::Fd socket);
  void end();
  void on_failure(const std::string& reason) override;

  EventLoop& loop_;
  Callbacks callbacks_;
  memif::DisposalLane lane_;
  std::optional<Channel> channel_;

 private:
  struct Held {
    Message message;
    std::vector<api::Fd> files;
  };

  bool on_message(const Message& message, std::vector<api::Fd>& files) override;
  void stop_rings(std::optional<Held> held);
  void rings_stopped();
  bool receive(const Message& message, std::vector<api::Fd>& files);
  bool match_rings(Request request);

  DeviceConfig device_config_;
  std::optional<Device> device_;  // channel_'s
  std::optional<Held> held_;      // goes on when the rings are at rest
  uint8_t running_ = 0;           // queue pairs in use
};

}  // namespace weir::dataplane::vhost
