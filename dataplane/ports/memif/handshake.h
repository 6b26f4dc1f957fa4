// The control channel's state machine: what a client may say, when, and with which
// values. No sockets here.
//
//   (HELLO sent) -> INIT -> ADD_REGION 0, 1, ... and ADD_RING 0, 1, ... per direction
//   -> CONNECT -> complete
// Each message once and in order; anything else is refused with a reason for the peer.
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "dataplane/api/codec.h"
#include "dataplane/ports/memif/link.h"
#include "dataplane/ports/memif/protocol.h"
#include "dataplane/ports/memif/regions.h"

namespace weir::dataplane::memif {

// Of either role.
struct HandshakeConfig {
  std::string secret;      // empty = none asked for, or none given
  uint8_t queues = 1;      // per direction, 1..kMaxQueues
  uint8_t log2_ring = 10;  // largest that is offered in HELLO, or the size of our rings
  bool unsealed = false;   // takes memory that can shrink: a trusted peer
  Mode mode = Mode::ethernet;
  uint16_t buffer = 2048;          // client role: bytes of each buffer
  std::string interface = "weir";  // what the peer is told about our end
};

// What a peer has handed over, or we to the peer.
struct Session {
  std::vector<Region> regions;
  uint16_t buffer = 0;             // see Link
  std::vector<RingPlace> receive;  // what the peer sends on
  std::vector<RingPlace> send;
  std::vector<api::Fd> receive_eventfds;  // one for each ring above
  std::vector<api::Fd> send_eventfds;
  std::string peer;  // its program's name and its interface's; printable
  std::string interface;
  ucred credentials{};  // of whoever connected, as the kernel knows them
};

class Handshake {
 public:
  explicit Handshake(HandshakeConfig config) : config_(std::move(config)) {}

  Message hello() const;
  // The reply to send, or the reason to refuse the peer. Takes out of `fds` what it
  // keeps; the rest is of unknown kind and the caller's.
  Result<Message> receive(const Message& message, std::vector<api::Fd>& fds);
  bool complete() const noexcept { return step_ == Step::complete; }
  Session& session() noexcept { return session_; }  // whole when complete()

 private:
  enum class Step { init, setup, complete };

  Result<Message> init(const Init& init);
  Result<Message> add_region(const AddRegion& region, std::vector<api::Fd>& fds);
  Result<Message> add_ring(const AddRing& ring, std::vector<api::Fd>& fds);
  Result<Message> connect(const Connect& connect);
  Status check_place(const AddRing& ring) const;

  HandshakeConfig config_;
  Step step_ = Step::init;
  uint64_t bytes_ = 0;
  Session session_;
};

std::string own_name();  // of this program, for the peer
Message make_message(MessageType type);
Message make_disconnect(const std::string& reason);
// Up to the first zero, other than printable ASCII replaced: text of a peer for logs.
std::string printable(const char* text, size_t size);
template <size_t N>
void set_text(std::array<char, N>& field, const std::string& text) {
  field.fill(0);
  std::memcpy(field.data(), text.data(), std::min(text.size(), N - 1));
}

}  // namespace weir::dataplane::memif
