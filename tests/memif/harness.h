// A memif port without the rest of the dataplane: the test's thread is main thread and
// worker in turn, so every step happens when the test says so.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/ports/memif/port.h"
#include "tests/memif/raw_client.h"

namespace weir::dataplane::memif::test {

// rx buffers of a worker.
struct WorkerVector {
  std::array<Packet, kVectorSize> packets;
  std::array<Segment, size_t{kVectorSize} * kMaxSegments> segments;

  RxBatch batch() { return {.packets = packets, .segments = segments}; }
};

Bytes make_frame(size_t length, uint8_t seed = 0);
// The whole frame, head and body.
Bytes bytes_of(const Packet& packet);

class MemifTest : public testing::Test {
 protected:
  static constexpr uint32_t kWorker = 0;

  MemifTest();
  ~MemifTest() override;

  api::PortConfig config() const;
  void make_port(const api::PortConfig& config);
  ClientOptions options();

  // One round of the main thread.
  void pump();
  // Main thread and worker rounds until `done`, false after three seconds.
  bool pump_until(const std::function<bool()>& done);
  // One round of the worker: what rx gave, bodies copied out, then rx_done.
  std::vector<Bytes> rx();
  // Sends, flushes, and reports what became of each frame (Drop::count: sent).
  // `l3_offset`: where their IP headers begin.
  std::vector<Drop> tx(const std::vector<Bytes>& frames, uint16_t l3_offset = 14);
  api::PortState state() const;
  std::string detail() const { return state().detail.data(); }

  // No descriptors left over by clients and connections.
  void expect_fd_baseline();

  std::filesystem::path directory_;
  std::string path_;
  std::unique_ptr<EventLoop> loop_;
  Rcu rcu_{1};
  std::unique_ptr<MemifService> service_;
  std::unique_ptr<MemifPort> port_;
  PortCounterBlock counters_;
  std::unique_ptr<WorkerVector> vector_ = std::make_unique<WorkerVector>();
  std::atomic<unsigned> wakes_{0};
  size_t fd_baseline_ = 0;
};

size_t open_fds();

}  // namespace weir::dataplane::memif::test
