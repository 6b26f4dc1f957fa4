// A raw memif 2.0 client. It can do everything a good client does, and each step apart
// and wrong: messages, descriptors and indices are the caller's to forge.
// No test framework in here: fuzzers and benchmarks use it too. One thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dataplane/api/codec.h"
#include "dataplane/ports/memif/protocol.h"

namespace weir::dataplane::memif::test {

using Bytes = std::vector<std::byte>;

struct ClientOptions {
  uint8_t log2_ring = 6;
  uint8_t queues = 1;      // per direction
  uint32_t buffer = 2048;  // bytes
  bool seal = true;
  Mode mode = Mode::ethernet;
  std::string secret;
  std::string name = "raw client";
  // Runs while the client waits for an answer: the server's loop when both share a thread.
  std::function<void()> pump;
  std::chrono::milliseconds timeout{3000};
};

class RawClient {
 public:
  explicit RawClient(ClientOptions options = {}) : options_(std::move(options)) {}
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  // The whole way to CONNECTED. The text says what the server objected to.
  Status connect(const std::string& path);
  // Its parts.
  Status open(const std::string& path);  // socket, HELLO
  Status make_memory();                  // one region: rings, then buffers
  Status init();
  Status add_region(int fd, uint16_t index, uint64_t size);
  Status add_ring(uint16_t flags, uint16_t index, int fd);
  Status say_connect();
  void close();

  // Messages as they are.
  bool send(const Message& message, std::span<const int> fds = {});
  bool send_raw(std::span<const std::byte> bytes, std::span<const int> fds = {});
  // nullopt: nothing within the timeout, or the server hung up.
  std::optional<Message> receive();
  // Sends, then expects `answer`; a DISCONNECT's text becomes the error.
  Status exchange(const Message& message, MessageType answer, std::span<const int> fds = {});
  // Waits until the server hangs up; its reason, "" when it gave none.
  std::string wait_disconnect();

  // Frames over queue `queue`, split over buffers as needed.
  bool send_frame(std::span<const std::byte> frame, uint8_t queue = 0);
  void notify(uint8_t queue = 0);  // interrupts the server if it asks for that
  std::optional<Bytes> receive_frame(uint8_t queue = 0);
  void refill(uint8_t queue = 0);              // offers all free buffers to the server
  bool all_returned(uint8_t queue = 0) const;  // the server consumed everything sent

  // Rings in the raw. S2M rings carry what the client sends.
  RingHeader& ring(bool to_server, uint8_t queue = 0);
  Descriptor descriptor(bool to_server, uint16_t slot, uint8_t queue = 0);
  void set_descriptor(bool to_server, uint16_t slot, const Descriptor& descriptor,
                      uint8_t queue = 0);
  void set_head(bool to_server, uint16_t head, uint8_t queue = 0);
  uint16_t tail(bool to_server, uint8_t queue = 0);
  uint16_t ring_size() const noexcept { return static_cast<uint16_t>(1U << options_.log2_ring); }
  std::byte* memory() noexcept { return memory_; }
  uint64_t memory_size() const noexcept { return memory_size_; }
  uint32_t ring_offset(bool to_server, uint8_t queue) const noexcept;
  int memory_fd() const noexcept { return memory_fd_.get(); }
  int eventfd(bool to_server, uint8_t queue = 0) const;
  int socket() const noexcept { return socket_.get(); }
  const ClientOptions& options() const noexcept { return options_; }

 private:
  struct Queue {
    api::Fd event;
    uint16_t head = 0;
    uint16_t tail = 0;
  };

  uint32_t buffer_offset(bool to_server, uint8_t queue, uint16_t slot) const noexcept;
  std::vector<Queue>& queues(bool to_server) noexcept { return to_server ? send_ : receive_; }

  ClientOptions options_;
  api::Fd socket_;
  api::Fd memory_fd_;
  std::byte* memory_ = nullptr;
  uint64_t memory_size_ = 0;
  std::vector<Queue> send_;     // S2M
  std::vector<Queue> receive_;  // M2S
};

// A memfd of `size` bytes with F_SEAL_SHRINK or without.
api::Fd make_memfd(uint64_t size, bool seal);

Message blank_message(MessageType type);
// One packet on a control socket, descriptors with it; false when the peer is gone.
bool send_packet(int socket, std::span<const std::byte> bytes, std::span<const int> fds);
Message init_message(const ClientOptions& options);
Message region_message(uint16_t index, uint64_t size);

}  // namespace weir::dataplane::memif::test
