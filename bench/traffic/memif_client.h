// A memif 2.0 client (protocol.h) for the generator: one region, one ring to the server
// and one or more from it, poll mode. It is made once per trial; what runs per frame is in rings.h.
// One thread.
#pragma once

#include <string>
#include <vector>

#include "bench/traffic/rings.h"
#include "dataplane/api/codec.h"
#include "dataplane/api/error.h"

namespace weir::bench {

struct ClientOptions {
  uint8_t log2_ring = 10;
  uint32_t buffer = 2048;      // bytes a descriptor
  unsigned receive_rings = 1;  // some servers send on a ring for each of their threads
  std::string name = "weir-bench";
};

class MemifClient {
 public:
  // Without a server: both rings are there, and the caller plays the server's part.
  static Result<MemifClient> detached(const ClientOptions& options);
  // Tries for 3 seconds; the error is the last try's.
  static Result<MemifClient> connect(const std::string& path, const ClientOptions& options);
  MemifClient(MemifClient&& other) noexcept;
  MemifClient& operator=(MemifClient&&) = delete;
  ~MemifClient();

  // Views into this client's memory; they end with it.
  TxRing tx() const { return TxRing(view(0)); }
  std::vector<RxRing> rx() const;
  // 0: to the server; from 1 on: from it.
  RingView view(unsigned ring) const;

 private:
  explicit MemifClient(const ClientOptions& options) : options_(options) {}
  Status make_memory();
  Status handshake(const std::string& path);
  unsigned rings() const { return 1 + options_.receive_rings; }
  uint32_t ring_offset(unsigned ring) const;
  uint32_t buffer_offset(unsigned ring, uint32_t slot) const;

  ClientOptions options_;
  api::Fd socket_;  // open as long as the link shall be up
  api::Fd memory_fd_;
  std::vector<api::Fd> events_;
  std::byte* memory_ = nullptr;
  size_t size_ = 0;
};

}  // namespace weir::bench
