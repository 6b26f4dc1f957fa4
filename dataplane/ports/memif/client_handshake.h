// The client role's state machine: what to say to a server, and what it may answer. No
// sockets here.
//
//   HELLO -> INIT, then one message for each ACK: ADD_REGION, ADD_RING ..., CONNECT
//   -> CONNECTED: complete
// Anything else is refused with a reason for the server.
#pragma once

#include <optional>

#include "dataplane/ports/memif/handshake.h"
#include "dataplane/ports/memif/own_memory.h"

namespace weir::dataplane::memif {

class ClientHandshake {
 public:
  explicit ClientHandshake(HandshakeConfig config) : config_(std::move(config)) {}

  struct Request {
    Message message;
    int fd = -1;  // goes with it and stays ours
  };
  // What to send next, nothing once complete(); or the reason to leave the server.
  Result<std::optional<Request>> receive(const Message& message);
  bool complete() const noexcept { return step_ == Step::complete; }
  Session& session() noexcept { return session_; }  // whole when complete()

 private:
  enum class Step { hello, init, setup, connect, complete };

  Result<std::optional<Request>> hello(const Hello& hello);
  Result<std::optional<Request>> lend();
  Result<std::optional<Request>> next_ring();
  Result<std::optional<Request>> connected(const Connect& connected);

  HandshakeConfig config_;
  Step step_ = Step::hello;
  MemoryPlan plan_;
  api::Fd memory_;
  Session session_;
};

// What the client role needs of memory at most.
MemoryPlan largest_plan(const HandshakeConfig& config) noexcept;

}  // namespace weir::dataplane::memif
