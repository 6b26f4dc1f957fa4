// Frames from one worker to another: a port that only its owner may send to gets
// frames of other workers this way. A ring of variable-length records in one block.
//
// Thread safety: one producer, one consumer.
// Invariants: records are contiguous; a record that would cross the end is preceded
// by a skip mark; head_ and tail_ only grow (bytes since the start).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "dataplane/core/packet.h"

namespace weir::dataplane {

class Handoff {
 public:
  explicit Handoff(size_t bytes = 1U << 20);  // a power of two

  // Producer: copies the frame in; false when there is no room. Visible after publish().
  bool push(const Packet& packet, uint64_t port_key) noexcept;
  void publish() noexcept;
  bool has_pending() const noexcept { return pending_head_ != head_.load(std::memory_order_relaxed); }

  // Consumer: the next frame as a packet view with one body piece, false when empty.
  bool peek(Packet& packet, Segment& segment, uint64_t& port_key) noexcept;
  // Consumer: frames peeked so far are no longer used.
  void release() noexcept;
  bool empty() const noexcept;

 private:
  struct Record {
    uint32_t bytes;   // record with its padding; 0 = skip to the ring's start
    uint32_t length;  // frame
    uint64_t port_key;
    uint16_t in_port;
    uint16_t out_port;
    uint16_t l3_offset;
    uint16_t l4_offset;
    uint16_t l4_length;
    uint16_t tx_mtu;
    Family family;
    uint8_t l4_protocol;
    bool fragment;
    bool generated;
    bool translated;
    Offload offload;
  };

  Record* at(uint64_t position) noexcept {
    return reinterpret_cast<Record*>(memory_.get() + (position & mask_));
  }

  std::unique_ptr<std::byte[]> memory_;
  size_t mask_;
  alignas(64) std::atomic<uint64_t> head_{0};  // written by the producer, read by the consumer
  uint64_t pending_head_ = 0;                  // producer only
  uint64_t known_tail_ = 0;                    // producer only
  alignas(64) std::atomic<uint64_t> tail_{0};  // written by the consumer, read by the producer
  uint64_t pending_tail_ = 0;                  // consumer only
};

}  // namespace weir::dataplane
