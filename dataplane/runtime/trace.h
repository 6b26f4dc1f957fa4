// Trace of packets through the stages, for `weirctl trace`.
//
// Thread safety: start() and step() by the worker; read() by the main thread.
#pragma once

#include <array>
#include <boost/lockfree/spsc_queue.hpp>
#include <vector>

#include "dataplane/core/pipeline.h"

namespace weir::dataplane {

class TraceRecorder final : public TraceSink {
 public:
  TraceRecorder(uint32_t worker, const PortSlot* ports) : worker_(worker), ports_(ports) {}

  void start(const api::TraceFilter& filter) noexcept;
  bool active() const noexcept { return remaining_ > 0; }
  // A packet of the vector as received.
  void received(const Packet& packet, size_t packet_index) noexcept;
  void step(const Packet& packet, size_t packet_index, Next stage, Next verdict) noexcept override;
  // After the vector's last stage: frames that left by tx.
  void sent(const Packet& packet, size_t packet_index) noexcept;
  // A frame that a port refused; its reason is in packet.drop.
  void refused(const Packet& packet, size_t packet_index) noexcept;
  // The vector is done: forgets its packets, passes on what the filter wants.
  void settle() noexcept;

  void read(std::vector<api::TraceRecord>& records);

 private:
  // Steps of one packet, kept until its end is known.
  struct Way {
    bool wanted = false;
    bool dropped = false;
    uint16_t steps = 0;
    std::array<api::TraceRecord, 16> records;
  };
  void record(const Packet& packet, size_t packet_index, std::string_view stage,
              std::string_view verdict) noexcept;
  uint64_t key_of(uint16_t port) const noexcept;

  uint32_t worker_;
  const PortSlot* ports_;
  api::TraceFilter filter_;
  uint32_t remaining_ = 0;
  uint64_t next_packet_ = 1;
  std::array<Way, kVectorSize> ways_;
  boost::lockfree::spsc_queue<api::TraceRecord, boost::lockfree::capacity<4096>> records_;
};

}  // namespace weir::dataplane
