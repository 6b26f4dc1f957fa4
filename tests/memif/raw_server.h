// A raw memif 2.0 server, for the port's client role: each step apart, everything in the
// client's memory the caller's to forge. One thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/memif/raw_client.h"

namespace weir::dataplane::memif::test {

struct ServerOptions {
  uint8_t queues = 1;
  uint8_t log2_ring = 14;  // largest that is offered
  std::string name = "raw server";
  std::function<void()> pump;  // runs while the server waits
  std::chrono::milliseconds timeout{3000};
};

class RawServer {
 public:
  RawServer(const std::string& path, ServerOptions options);
  ~RawServer();
  RawServer(const RawServer&) = delete;
  RawServer& operator=(const RawServer&) = delete;

  // Accepts and answers everything up to CONNECTED; false when that does not come about.
  bool serve();
  // Its parts.
  bool accept();
  bool send(const Message& message, std::span<const int> fds = {});
  std::optional<Message> receive();  // descriptors are taken along
  Message hello() const;
  bool handle(const Message& message);  // one message; answers it
  void close();                         // the connection; the socket listens on

  bool send_frame(std::span<const std::byte> frame, uint8_t queue = 0);
  std::optional<Bytes> receive_frame(uint8_t queue = 0);

  // Rings in the raw: those to the server carry what the port sends.
  struct Ring {
    AddRing place{};
    api::Fd event;
    uint16_t next = 0;

    uint16_t size() const noexcept { return static_cast<uint16_t>(1U << place.log2_size); }
  };
  Ring& ring(bool to_server, uint8_t queue = 0) { return (to_server ? rx_ : tx_).at(queue); }
  RingHeader& header(const Ring& ring) noexcept;
  Descriptor descriptor(const Ring& ring, uint16_t slot) noexcept;
  void set_descriptor(const Ring& ring, uint16_t slot, const Descriptor& descriptor) noexcept;
  void set_tail(Ring& ring, uint16_t tail) noexcept;
  size_t rings(bool to_server) const noexcept { return (to_server ? rx_ : tx_).size(); }
  const Init& init() const noexcept { return init_; }
  std::string interface() const { return interface_; }
  int memory_fd() const noexcept { return memory_fd_.get(); }
  uint64_t memory_size() const noexcept { return memory_size_; }

 private:
  bool wait(int fd);

  std::string path_;
  ServerOptions options_;
  api::Fd listener_;
  api::Fd socket_;
  std::vector<api::Fd> fds_;
  Init init_{};
  std::string interface_;
  api::Fd memory_fd_;
  std::byte* memory_ = nullptr;
  uint64_t memory_size_ = 0;
  std::vector<Ring> rx_;  // S2M
  std::vector<Ring> tx_;  // M2S
};

}  // namespace weir::dataplane::memif::test
