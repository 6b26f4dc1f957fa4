// A port in memory: frames are given to it and taken from it by the test.
#pragma once

#include <atomic>
#include <deque>
#include <mutex>
#include <vector>

#include "dataplane/core/port.h"

namespace weir::dataplane::test {

using Frame = std::vector<std::byte>;

// Locked: a test may feed it while a worker runs.
class FakePort final : public Port {
 public:
  explicit FakePort(bool shared = false) : shared_(shared) {}

  void give(Frame frame) {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(frame));
  }
  std::vector<Frame> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(sent_, {});
  }
  size_t sent() const {
    const std::lock_guard lock(mutex_);
    return sent_.size();
  }

  uint16_t rx(const RxBatch& batch, DropSink&) noexcept override {
    const std::lock_guard lock(mutex_);
    uint16_t filled = 0;
    while (filled < batch.packets.size() && !waiting_.empty()) {
      held_.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
      describe(batch, filled++, held_.back());
    }
    return filled;
  }
  void rx_done() noexcept override {
    const std::lock_guard lock(mutex_);
    held_.clear();
  }
  uint16_t tx(std::span<Packet* const> packets, Drop*) noexcept override {
    const std::lock_guard lock(mutex_);
    for (const Packet* packet : packets) {
      Frame frame(packet->head().begin(), packet->head().end());
      for (uint16_t i = 0; i < packet->body_count; ++i) {
        frame.insert(frame.end(), packet->body[i].data, packet->body[i].data + packet->body[i].length);
      }
      sent_.push_back(std::move(frame));
    }
    return static_cast<uint16_t>(packets.size());
  }
  bool arm() noexcept override {
    const std::lock_guard lock(mutex_);
    return !waiting_.empty();
  }
  bool shared_tx() const noexcept override { return shared_; }
  void state(api::PortState& state) const override { state.link = api::LinkState::up; }

 private:
  static void describe(const RxBatch& batch, uint16_t index, const Frame& frame) {
    Packet& packet = batch.packets[index];
    packet.length = static_cast<uint32_t>(frame.size());
    packet.head_offset = kHeadroom;
    packet.head_length = static_cast<uint16_t>(std::min<size_t>(frame.size(), kHeadSize));
    std::memcpy(packet.data(), frame.data(), packet.head_length);
    packet.body = batch.segments.data() + index * kMaxSegments;
    packet.body_count = frame.size() > kHeadSize ? 1 : 0;
    packet.body[0] = {frame.data() + packet.head_length, packet.length - packet.head_length};
    packet.offload = {};
  }

  bool shared_;
  mutable std::mutex mutex_;
  std::deque<Frame> waiting_;
  std::deque<Frame> held_;
  std::vector<Frame> sent_;
};

}  // namespace weir::dataplane::test
