// A link without sockets and its driver, on rings of either kind. The test's thread is both.
#pragma once

#include <gtest/gtest.h>

#include <cstring>

#include "dataplane/ports/kernel/virtio_header.h"
#include "dataplane/ports/vhost/link.h"
#include "tests/vhost/driver.h"

namespace weir::dataplane::vhost::test {

inline constexpr uint16_t kRing = 32;
inline constexpr uint64_t kTransmitBuffers = SharedMemory::kBuffers;
inline constexpr uint64_t kReceiveBuffers = SharedMemory::kBuffers + 0x40000;
inline constexpr uint64_t kDefaultFeatures = kVersion1 | kNetMergeable | kIndirect;

inline Bytes make_frame(size_t length) {
  Bytes frame(length);
  for (size_t i = 0; i < length; ++i) frame[i] = static_cast<std::byte>(i * 31 + i / 251);
  return frame;
}

// The parameter: whether rings are packed.
class LinkTest : public testing::TestWithParam<bool> {
 protected:
  LinkTest() { start(kDefaultFeatures); }

  // A fresh driver that negotiated these, and kPackedRing where the parameter says so.
  void start(uint64_t features) {
    memory_.clear();
    mapped_ = memory_.map();
    features_ = features | (GetParam() ? kPackedRing : 0);
    receive_ = make_ring(GetParam(), memory_, 0, kRing);
    transmit_ = make_ring(GetParam(), memory_, 0x8000, kRing);
    const PairPlace pair{receive_->place(*mapped_), transmit_->place(*mapped_)};
    link_ = Link::make({.memory = mapped_, .features = features_, .pairs = std::span(&pair, 1)});
  }

  // Header and frame in guest memory from `address` on.
  uint32_t write(uint64_t address, const VirtioHeader& header, const Bytes& frame) {
    std::memcpy(memory_.at(address), &header, sizeof header);
    std::memcpy(memory_.at(address + kFullHeader), frame.data(), frame.size());
    return static_cast<uint32_t>(kFullHeader + frame.size());
  }
  // In one buffer.
  void transmit(const Bytes& frame, uint16_t id = 0, const VirtioHeader& header = {}) {
    const Buffer whole{kTransmitBuffers, write(kTransmitBuffers, header, frame)};
    transmit_->offer(std::span(&whole, 1), id);
  }
  uint16_t rx() {
    DropSink drops(counters_);
    return link_->rx({.packets = packets_, .segments = segments_}, drops);
  }
  uint64_t drops(Drop reason) const { return counters_.drops[static_cast<size_t>(reason)].get(); }
  Bytes received(size_t i) const {
    const Packet& packet = packets_[i];
    Bytes frame(packet.data(), packet.data() + packet.head_length);
    for (uint16_t k = 0; k < packet.body_count; ++k)
      frame.insert(frame.end(), packet.body[k].data, packet.body[k].data + packet.body[k].length);
    return frame;
  }

  // Offers receive buffers of `length` bytes, ids from `first` on.
  void offer_buffers(uint16_t count, uint32_t length, uint16_t first = 0) {
    for (uint16_t id = first; id < first + count; ++id) {
      const Buffer one{kReceiveBuffers + id * uint64_t{4096}, length, kDescriptorWrite};
      receive_->offer(std::span(&one, 1), id);
    }
  }
  Drop send(const Bytes& frame, const Offload& offload = {}) {
    Packet packet;
    packet.length = static_cast<uint32_t>(frame.size());
    packet.head_length = static_cast<uint16_t>(std::min<size_t>(frame.size(), kHeadSize));
    packet.offload = offload;
    packet.l4_offset = 34;
    std::memcpy(packet.data(), frame.data(), packet.head_length);
    Segment rest{frame.data() + packet.head_length, packet.length - packet.head_length};
    packet.body = &rest;
    packet.body_count = rest.length > 0;
    Packet* one = &packet;
    Drop drop = Drop::count;
    link_->tx(0, std::span(&one, 1), &drop);
    return drop;
  }
  // What the driver finds in the next receive buffers, header first; empty when nothing came.
  Bytes take_received() {
    Bytes all;
    uint16_t buffers = 1;
    for (uint16_t i = 0; i < buffers; ++i) {
      const std::optional<Used> used = receive_->take_used();
      if (!used) return {};
      const std::byte* const data = memory_.at(kReceiveBuffers + used->id * uint64_t{4096});
      if (i == 0) std::memcpy(&buffers, data + sizeof(VirtioHeader), sizeof buffers);
      all.insert(all.end(), data, data + used->length);
    }
    return all;
  }

  SharedMemory memory_;
  std::shared_ptr<Memory> mapped_;
  uint64_t features_ = 0;
  std::unique_ptr<DriverRing> receive_;
  std::unique_ptr<DriverRing> transmit_;
  std::unique_ptr<Link> link_;
  PortCounterBlock counters_;
  std::array<Packet, kVectorSize> packets_;
  std::array<Segment, size_t{kVectorSize} * kMaxSegments> segments_;
};

inline std::string ring_kind(const testing::TestParamInfo<bool>& packed) {
  return packed.param ? "Packed" : "Split";
}

}  // namespace weir::dataplane::vhost::test
