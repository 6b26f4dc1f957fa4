// Closes descriptors that came from a peer without waiting for them. close() can block
// for as long as the peer likes: a file of its own FUSE server is flushed, a socket may
// linger. A port's descriptors go through a lane of their own, so that a peer delays
// nobody but itself.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "dataplane/api/codec.h"

namespace weir::dataplane::memif {

// Thread safety: main thread. The lane's own thread runs only while there is work and
// may outlive this object.
class DisposalLane {
 public:
  DisposalLane();

  // Takes descriptors of unknown kind.
  void close(std::vector<api::Fd> fds);
  // Takes a control socket: ends it at once for both sides, then closes what still
  // waits in it and the socket itself.
  void close_socket(api::Fd socket);
  // Descriptors not closed yet.
  size_t pending() const;

 private:
  struct State;
  static void run(const std::shared_ptr<State>& state);
  void start();

  std::shared_ptr<State> state_;
};

// Receives one message of at most `size` bytes without blocking; every descriptor that
// came with it is appended to `fds` (close-on-exec). Returns what recvmsg returns;
// `truncated` tells of a longer message.
ssize_t receive_message(int socket, void* buffer, size_t size, std::vector<api::Fd>& fds,
                        bool& truncated);

}  // namespace weir::dataplane::memif
