// The two rings of a memif client as its polling thread sees them.
// Thread safety: one thread each. Indices are private; of the shared header TxRing writes
// head and reads tail and flags, RxRing writes head and flags and reads tail.
#pragma once

#include <sys/eventfd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "dataplane/ports/memif/protocol.h"

namespace weir::bench {

namespace memif = dataplane::memif;

struct RingView {
  memif::RingHeader* header = nullptr;
  memif::Descriptor* slots = nullptr;
  std::byte* memory = nullptr;  // the region's start
  uint32_t buffer = 0;          // bytes a descriptor
  uint16_t mask = 0;            // slots - 1
  int event = -1;               // wakes the ring's reader

  uint16_t size() const noexcept { return static_cast<uint16_t>(mask + 1); }
  memif::Descriptor& slot(uint16_t index) const noexcept { return slots[index & mask]; }
  std::byte* frame(uint16_t index) const noexcept { return memory + slot(index).offset; }
};

// Client to server (S2M). Slot i always has the same buffer.
class TxRing {
 public:
  explicit TxRing(const RingView& view) : view_(view) {}

  const RingView& view() const noexcept { return view_; }
  uint16_t head() const noexcept { return head_; }
  // Slots that the server has given back. Asks it only when fewer than `wanted` are known:
  // each look at its index costs the server a cache miss.
  uint16_t room(uint16_t wanted) noexcept {
    if (known() < wanted) {
      // acquire: what was read from these buffers was read before they are overwritten.
      tail_ = std::atomic_ref(view_.header->tail).load(std::memory_order_acquire);
    }
    return known();
  }
  void publish(uint16_t count) noexcept {
    head_ = static_cast<uint16_t>(head_ + count);
    // release: frames and lengths come before the index.
    std::atomic_ref(view_.header->head).store(head_, std::memory_order_release);
    std::atomic_thread_fence(std::memory_order_seq_cst);  // index first, then the reader's flag
    const uint16_t flags = std::atomic_ref(view_.header->flags).load(std::memory_order_relaxed);
    if ((flags & memif::kRingMaskInterrupt) == 0) eventfd_write(view_.event, 1);
  }

 private:
  uint16_t known() const noexcept { return static_cast<uint16_t>(view_.size() - (head_ - tail_)); }

  RingView view_;
  uint16_t head_ = 0;
  uint16_t tail_ = 0;
};

// Server to client (M2S). The server fills the buffers that were offered.
class RxRing {
 public:
  explicit RxRing(const RingView& view) : view_(view) {
    view_.header->flags = memif::kRingMaskInterrupt;
    offer();
  }

  const RingView& view() const noexcept { return view_; }
  // Descriptors the server has filled; the first is number next().
  uint16_t waiting() const noexcept {
    // acquire: frames and lengths are there once the index is.
    const uint16_t tail = std::atomic_ref(view_.header->tail).load(std::memory_order_acquire);
    return static_cast<uint16_t>(tail - next_);
  }
  uint16_t next() const noexcept { return next_; }
  // Takes `count` descriptors, whose lengths the caller has put back to the capacity.
  void release(uint16_t count) noexcept {
    next_ = static_cast<uint16_t>(next_ + count);
    offer();
  }

 private:
  void offer() noexcept {
    // release: lengths come before the index.
    std::atomic_ref(view_.header->head)
        .store(static_cast<uint16_t>(next_ + view_.size()), std::memory_order_release);
  }

  RingView view_;
  uint16_t next_ = 0;
};

}  // namespace weir::bench
