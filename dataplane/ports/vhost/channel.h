// One connection to a front-end: messages in and out over a stream, each within a deadline.
//
// Threads: the event loop's. Nothing a peer does blocks it, and no peer gets more than its
// share of it.
#pragma once

#include <sys/socket.h>

#include <string>
#include <vector>

#include "dataplane/ports/memif/disposal.h"
#include "dataplane/ports/memif/path_socket.h"
#include "dataplane/ports/vhost/protocol.h"
#include "dataplane/runtime/event_loop.h"

namespace weir::dataplane::vhost {

// From a message's first byte to its last.
inline constexpr std::chrono::seconds kMessageDeadline{1};
// A guest that masks and unmasks interrupts sends many; this many in a window are handled.
inline constexpr std::chrono::milliseconds kMessageWindow{10};
inline constexpr unsigned kMessagesPerWindow = 64;

class Channel {
 public:
  // Who handles a channel's events may destroy the channel in each of these.
  class Owner {
   public:
    virtual ~Owner() = default;
    // What it leaves in `files` is of unknown kind and is closed aside. False: the channel is
    // no more, or held.
    virtual bool on_message(const Message& message, std::vector<api::Fd>& files) = 0;
    virtual void on_failure(const std::string& reason) = 0;
  };

  // The lane and the owner outlive the channel.
  Channel(EventLoop& loop, memif::DisposalLane& lane, Owner& owner, api::Fd socket);
  ~Channel();  // ends the connection
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  Status start();
  // False when the peer does not read its socket or is gone.
  bool send(const Message& message);
  // Reads nothing until it is released.
  void hold(bool held);
  bool hung_up() const { return memif::hung_up(socket_.get()); }
  ucred credentials() const { return memif::credentials_of(socket_.get()); }

 private:
  void on_event(uint32_t events);
  bool read_more();
  bool take_message();
  std::string fault_of_header() const;
  bool over_rate();
  void watch();

  EventLoop& loop_;
  memif::DisposalLane& lane_;
  Owner& owner_;
  api::Fd socket_;
  Message message_{};  // that is coming in
  size_t have_ = 0;    // bytes of it
  std::vector<api::Fd> files_;
  bool held_ = false;
  EventLoop::TimerId deadline_ = 0;  // runs while have_ > 0
  EventLoop::TimerId resume_ = 0;    // runs while the peer waits for its next window
  EventLoop::Clock::time_point window_{};
  unsigned in_window_ = 0;
};

}  // namespace weir::dataplane::vhost
