// A connected pod as its worker sees it: mapped regions, rings and private indices. The
// memory is the pod's own in the server role, and ours that the pod maps in the client
// role; the rules are the same.
//
// The peer may change any byte of the regions at any time. Therefore:
// Invariants:
//   - every descriptor is copied once and only the copy is checked and used;
//   - indices are private; shared head and tail of ours are written, never read back;
//   - bodies are never looked at, only copied.
// A descriptor or index that breaks the protocol sets fault() and ends the link's use:
// rx and tx do nothing from then on and the main thread disconnects.
// Threads: made and destroyed by the main thread, a grace period after it was
// unpublished; everything else but fault() by the owning worker.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "dataplane/core/port.h"
#include "dataplane/ports/memif/protocol.h"
#include "dataplane/ports/memif/regions.h"

namespace weir::dataplane::memif {

inline constexpr uint8_t kMaxQueues = 16;

#define WEIR_MEMIF_FAULTS(X)                                         \
  X(none, "")                                                        \
  X(rx_head, "transmit ring: head moved beyond the ring")            \
  X(rx_region, "transmit ring: descriptor names an unknown region")  \
  X(rx_range, "transmit ring: descriptor points outside its region") \
  X(rx_empty, "transmit ring: descriptor of length zero")            \
  X(rx_unfinished, "transmit ring: chain goes on beyond the head")   \
  X(rx_chain, "transmit ring: chain of more than 16 descriptors")    \
  X(rx_long, "transmit ring: frame longer than 65553 bytes")         \
  X(tx_head, "receive ring: head moved beyond the ring")             \
  X(tx_region, "receive ring: descriptor names an unknown region")   \
  X(tx_range, "receive ring: descriptor points outside its region")  \
  X(tx_empty, "receive ring: buffer of length zero")

enum class Fault : uint8_t {
#define WEIR_MEMIF_FAULT(name, text) name,
  WEIR_MEMIF_FAULTS(WEIR_MEMIF_FAULT)
#undef WEIR_MEMIF_FAULT
};

// Names rings from the pod's point of view: it is read by the pod's owner.
std::string_view to_string(Fault fault) noexcept;

// Bytes from one of our own buffers to the next: each starts a cache line.
constexpr uint32_t buffer_stride(uint16_t buffer) noexcept { return (buffer + 63U) & ~63U; }

// Where a ring lies; checked against the region before a Link is made.
struct RingPlace {
  uint16_t region = 0;
  uint32_t offset = 0;
  uint8_t log2_size = 0;
  uint32_t buffers = 0;  // client role: offset of its buffers in region 0
};

class Link {
 public:
  // Rings: 1..kMaxQueues in `receive` (S2M, or M2S in the client role) and in `send`.
  // `buffer`: 0 in the server role; in the client role the bytes of each buffer, which
  // lie buffer_stride(buffer) apart. A client's rings are empty but for their cookies.
  Link(std::vector<Region> regions, std::span<const RingPlace> receive,
       std::span<const RingPlace> send, uint16_t buffer = 0);

  // See Port for these.
  uint16_t rx(const RxBatch& batch) noexcept;
  void rx_done() noexcept;
  uint8_t tx_queues() const noexcept { return tx_count_; }
  uint16_t tx(uint8_t queue, std::span<Packet* const> packets, Drop* drops) noexcept;
  // Bits of the queues whose reader wants an interrupt for what became visible.
  uint32_t flush() noexcept;
  // Asks for interrupts; true when frames wait already.
  bool arm() noexcept;
  void disarm() noexcept;

  // Main thread: rings and memory as they are now. Fill is what the peer claims.
  void state(api::MemifState& state) const noexcept;

  // Written by the worker, read by both.
  Fault fault() const noexcept { return fault_.load(std::memory_order_acquire); }
  // Worker: true once, after the fault was set.
  bool take_fault_report() noexcept {
    if (fault_.load(std::memory_order_relaxed) == Fault::none || reported_) return false;
    return reported_ = true;
  }

 private:
  struct View {
    std::byte* base = nullptr;
    uint64_t size = 0;
  };
  // A ring's region in registers: the loops compare it with what descriptors name.
  struct Usual {
    View view;
    uint16_t region;
  };
  // The server moves tails and the client heads. Who is the client lends the buffers: what
  // it offers to be filled is a whole ring ahead of what it used, and so is what it may
  // fill itself ahead of what the peer took. In the server role `ahead` is 0.
  struct Ring {
    RingHeader* header = nullptr;
    DescriptorSlot* slots = nullptr;
    uint16_t* theirs = nullptr;  // index that the peer moves
    uint16_t* ours = nullptr;    // index that we move
    uint16_t size = 0;
    uint16_t mask = 0;
    uint16_t ahead = 0;
    uint16_t next = 0;       // first descriptor not used yet
    uint16_t published = 0;  // `next`, as the peer was told
    uint16_t fetched = 0;    // first descriptor whose buffer was not prefetched
    uint16_t lent = 0;       // client role: first descriptor that was not written anew
    uint16_t region = 0;     // a valid one: what most descriptors name, as the last odd one did
    uint32_t buffers = 0;    // client role: offset of the first buffer
  };

  Ring make_ring(const RingPlace& place) noexcept;
  void lend(Ring& ring, uint16_t until) noexcept;
  api::MemifRing state_of(const Ring& ring, bool to_server, const Counter& packets) const noexcept;
  uint16_t set_fault(Fault fault) noexcept;
  uint16_t rx_ring(Ring& ring, const RxBatch& batch, uint16_t filled) noexcept;
  enum Access { kRead = 0, kWrite = 1 };
  template <Access access>
  void prefetch_buffers(Ring& ring, uint16_t from, size_t count) const noexcept;
  Usual usual_of(const Ring& ring) const noexcept { return {views_[ring.region], ring.region}; }
  static bool take_whole(const Usual& usual, DescriptorSlot& slot, Packet& packet,
                         Segment* pieces) noexcept;
  // `next`, `end`: the first descriptor that may be used, and the one after the last.
  uint16_t take_frame(Ring& ring, size_t next, size_t end, Packet& packet,
                      Segment* pieces) noexcept;
  static bool put_whole(const Usual& usual, DescriptorSlot& slot, const Packet& packet) noexcept;
  uint16_t put_frame(Ring& ring, size_t next, size_t end, const Packet& packet,
                     Drop& drop) noexcept;
  const View* view_of(const Descriptor& descriptor, Fault region, Fault range,
                      Fault empty) noexcept;
  bool broken() const noexcept { return fault_.load(std::memory_order_relaxed) != Fault::none; }

  std::array<View, kMaxRegions> views_{};
  std::array<Ring, kMaxQueues> rx_{};
  std::array<Ring, kMaxQueues> tx_{};
  uint16_t view_count_ = 0;
  uint8_t rx_count_ = 0;
  uint8_t tx_count_ = 0;
  uint16_t buffer_;  // see the constructor
  uint8_t rx_next_ = 0;
  bool interrupts_wanted_ = true;
  bool reported_ = false;
  std::atomic<Fault> fault_{Fault::none};
  std::vector<Region> regions_;
  std::array<Counter, kMaxQueues> rx_packets_;  // see Counter
  std::array<Counter, kMaxQueues> tx_packets_;
};

}  // namespace weir::dataplane::memif
