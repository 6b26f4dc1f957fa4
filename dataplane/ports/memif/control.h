// One port's control channel: listens, admits one client at a time, carries messages
// between its socket and the Handshake under deadlines, and says why it hangs up.
//
// Threads: the event loop's, all of it. Nothing a peer does blocks it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/ports/memif/disposal.h"
#include "dataplane/ports/memif/handshake.h"
#include "dataplane/ports/memif/path_socket.h"
#include "dataplane/runtime/event_loop.h"

namespace weir::dataplane::memif {

inline constexpr std::chrono::seconds kMessageDeadline{1};  // between messages, until connected

class Control {
 public:
  struct Callbacks {
    std::function<void(Session&)> connected;
    // After connected(), or for a refused client without it. The reason is one for people.
    std::function<void(const std::string& reason)> disconnected;
  };

  Control(EventLoop& loop, PathSocket socket, HandshakeConfig config, Callbacks callbacks);
  ~Control();
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  Status start();
  // Tells the client why, if there is one, and ends its connection. Calls no callback.
  void hang_up(const std::string& reason);
  // Clients are refused with `reason` until `delay` has passed.
  void refuse_for(std::chrono::milliseconds delay, std::string reason);
  bool connected() const noexcept { return channel_ && channel_->handshake.complete(); }
  // Descriptors of past clients that are not closed yet.
  size_t undisposed() const { return lane_.pending(); }

 private:
  struct Channel {
    Channel(api::Fd fd, const HandshakeConfig& config) : socket(std::move(fd)), handshake(config) {}
    api::Fd socket;
    Handshake handshake;
    EventLoop::TimerId deadline = 0;
  };

  void on_accept();
  bool may_accept();
  void pause_accepting();
  void admit(api::Fd socket);
  void on_message();
  bool read_message();
  bool handle(const Message& message, std::vector<api::Fd>& fds);
  void set_deadline();
  void close_channel();
  void drop(const std::string& reason, bool tell);
  void send_last(int socket, const std::string& reason) const;

  EventLoop& loop_;
  PathSocket listener_;
  HandshakeConfig config_;
  Callbacks callbacks_;
  DisposalLane lane_;
  std::optional<Channel> channel_;
  EventLoop::TimerId resume_ = 0;  // running while the listener is paused
  EventLoop::Clock::time_point window_{};
  unsigned accepted_ = 0;  // in this window
  EventLoop::Clock::time_point refuse_until_{};
  std::string refuse_reason_;
};

}  // namespace weir::dataplane::memif
