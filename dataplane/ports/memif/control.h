// One port's control side, in either role: the connection to one peer at a time, and why
// it ended. Listener is the server's, Connector the client's.
//
// Threads: the event loop's, all of it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/ports/memif/channel.h"
#include "dataplane/ports/memif/handshake.h"

namespace weir::dataplane::memif {

class Control : protected Channel::Owner {
 public:
  struct Callbacks {
    std::function<void(Session&)> connected;
    // After connected(), or for a peer that did not get so far. The reason is for people.
    std::function<void(const std::string& reason)> disconnected;
  };

  Control(EventLoop& loop, Callbacks callbacks) : loop_(loop), callbacks_(std::move(callbacks)) {}
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;
  ~Control() override = default;

  virtual Status start() = 0;
  // Ends the connection, tells the peer why, and takes no other until `delay` has passed.
  // Calls no callback.
  virtual void hang_up(const std::string& reason, std::chrono::milliseconds delay) = 0;
  // Descriptors of past peers that are not closed yet.
  size_t undisposed() const { return lane_.pending(); }

 protected:
  // Begins with a peer that is connected to `socket`.
  Status begin(api::Fd socket, const std::string& peer) {
    channel_.emplace(loop_, lane_, static_cast<Channel::Owner&>(*this), std::move(socket), peer);
    return channel_->start();
  }
  // Ends the connection; a peer that does not read loses the message.
  void end(const std::string& reason, bool tell) {
    if (channel_ && tell) channel_->send(make_disconnect(reason));
    channel_.reset();
    forget();
  }
  // Gives back what the peer of a channel that ended handed over.
  virtual void forget() = 0;
  void on_failure(const std::string& reason, bool tell) override {
    end(reason, tell);
    callbacks_.disconnected(reason);
  }

  EventLoop& loop_;
  Callbacks callbacks_;
  DisposalLane lane_;
  std::optional<Channel> channel_;
};

}  // namespace weir::dataplane::memif
