// Takes peers that connect to a port's socket, no faster than the main thread can bear.
#pragma once

#include <functional>

#include "dataplane/ports/memif/disposal.h"
#include "dataplane/ports/memif/path_socket.h"
#include "dataplane/runtime/event_loop.h"

namespace weir::dataplane::memif {

// Threads: the event loop's. The loop and the lane outlive it.
class Acceptor {
 public:
  // `accepted` gets each peer's socket, non-blocking. Peers wait in the backlog while too many
  // descriptors of their predecessors are in `lane`.
  Acceptor(EventLoop& loop, PathSocket socket, const DisposalLane& lane,
           std::function<void(api::Fd)> accepted);
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  Status start();

 private:
  void on_readable();
  bool may_accept();
  void pause();

  EventLoop& loop_;
  const PathSocket listener_;
  const DisposalLane& lane_;
  const std::function<void(api::Fd)> accepted_;
  EventLoop::TimerId resume_ = 0;  // runs while the listener is paused
  EventLoop::Clock::time_point window_{};
  unsigned in_window_ = 0;
};

}  // namespace weir::dataplane::memif
