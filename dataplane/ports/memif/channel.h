// One connection to a peer: messages in and out, one at a time, under a deadline.
//
// Threads: the event loop's. Nothing a peer does blocks it.
#pragma once

#include <sys/socket.h>

#include <span>
#include <string>
#include <vector>

#include "dataplane/ports/memif/disposal.h"
#include "dataplane/ports/memif/path_socket.h"
#include "dataplane/ports/memif/protocol.h"
#include "dataplane/runtime/event_loop.h"

namespace weir::dataplane::memif {

inline constexpr std::chrono::seconds kMessageDeadline{1};  // between messages, until connected

class Channel {
 public:
  // Who handles a channel's events may destroy the channel in each of these.
  class Owner {
   public:
    virtual ~Owner() = default;
    // What it leaves in `fds` is of unknown kind and is closed aside. False: the channel
    // is no more.
    virtual bool on_message(const Message& message, std::vector<api::Fd>& fds) = 0;
    // The peer hung up, was too slow or sent no message. `tell`: it can still hear why.
    virtual void on_failure(const std::string& reason, bool tell) = 0;
  };

  // `peer`: "client" or "server", for reasons. The lane and the owner outlive the channel.
  Channel(EventLoop& loop, DisposalLane& lane, Owner& owner, api::Fd socket, std::string peer);
  ~Channel();  // ends the connection
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  Status start();
  // False when the peer does not read its socket or is gone. `fd` stays the caller's.
  bool send(const Message& message, int fd = -1);
  // From now on the next message must come in time, or not (wait = false).
  void expect_message(bool wait);
  bool hung_up() const { return memif::hung_up(socket_.get()); }
  ucred credentials() const { return memif::credentials_of(socket_.get()); }

 private:
  void on_readable();
  bool read_message();

  EventLoop& loop_;
  DisposalLane& lane_;
  Owner& owner_;
  api::Fd socket_;
  std::string peer_;
  EventLoop::TimerId deadline_ = 0;
};

// One message without waiting; false when it does not go out whole.
bool send_message(int socket, const Message& message, int fd = -1);

}  // namespace weir::dataplane::memif
