#include "dataplane/ports/vhost/link.h"

#include "dataplane/ports/vhost/frame_io.h"
#include "dataplane/ports/vhost/packed_ring.h"
#include "dataplane/ports/vhost/split_ring.h"

namespace weir::dataplane::vhost {

namespace {

constexpr uint16_t kMaxBuffers = 64;  // that one frame may be spread over

template <class Ring>
class RingLink final : public Link {
 public:
  explicit RingLink(const LinkConfig& config) : Link(config) {
    for (uint8_t i = 0; i < pairs_; ++i) {
      rx_[i].ring = Ring(config.pairs[i].transmit);
      tx_[i].ring = Ring(config.pairs[i].receive);
      rx_[i].ring.ask_for_kicks(true);   // the worker may sleep
      tx_[i].ring.ask_for_kicks(false);  // nobody waits for buffers
    }
  }

  uint16_t rx(const RxBatch& batch, DropSink& drops) noexcept override;
  uint32_t rx_done() noexcept override { return publish(rx_, 1); }
  uint16_t tx(uint8_t pair, std::span<Packet* const> packets, Drop* drops) noexcept override;
  uint32_t flush() noexcept override { return publish(tx_, 0); }
  bool arm() noexcept override;
  void disarm() noexcept override;
  void finish() noexcept override {
    publish(rx_, 1);
    publish(tx_, 0);
  }
  uint16_t base(uint8_t vring) const noexcept override {
    return (vring % 2 == 0 ? tx_ : rx_)[vring / 2].ring.base();
  }
  void state(api::MemifState& state) const noexcept override;

 private:
  struct Queue {
    Ring ring;
    Counter packets;  // see Counter
  };
  using Queues = std::array<Queue, kMaxPairs>;
  struct Given {
    uint16_t id;
    uint16_t slots;
    uint32_t written;
  };

  uint16_t rx_ring(Ring& ring, const RxBatch& batch, uint16_t filled, DropSink& drops) noexcept;
  Fault take_frame(Ring& ring, Chain& chain) noexcept;
  Drop send(Ring& ring, const Packet& packet) noexcept;
  Drop spread(Ring& ring, const FrameHeader& header, const Packet& packet) noexcept;
  bool take_buffer(Ring& ring, Chain& chain, bool first) noexcept;
  uint32_t publish(Queues& queues, uint8_t odd) noexcept;
  api::MemifRing state_of(const Queue& queue, bool transmit) const noexcept;

  Queues rx_;  // the pod's transmit rings
  Queues tx_;  // its receive rings
  uint8_t rx_next_ = 0;
  bool kicks_wanted_ = true;
};

template <class Ring>
uint16_t RingLink<Ring>::rx(const RxBatch& batch, DropSink& drops) noexcept {
  if (!usable(Side::transmit)) return 0;
  if (kicks_wanted_) disarm();  // a new link starts with kicks on; we poll now
  uint16_t filled = 0;
  for (uint8_t i = 0; i < pairs_ && filled < batch.packets.size(); ++i) {
    rx_next_ = rx_next_ + 1U < pairs_ ? static_cast<uint8_t>(rx_next_ + 1) : uint8_t{0};
    const uint16_t before = filled;
    filled = rx_ring(rx_[rx_next_].ring, batch, filled, drops);
    if (filled != before) rx_[rx_next_].packets.add(filled - before);  // idle ports stay cheap
  }
  return filled;
}

template <class Ring>
uint16_t RingLink<Ring>::rx_ring(Ring& ring, const RxBatch& batch, uint16_t filled,
                                 DropSink& drops) noexcept {
  Fault fault = Fault::none;
  // Refused frames count as attempts, so that they cannot hold the worker here.
  for (size_t attempt = filled; attempt < batch.packets.size() && ring.available(fault); ++attempt) {
    Chain chain;
    fault = take_frame(ring, chain);
    if (fault != Fault::none) [[unlikely]]
      break;
    const Drop refused = read_frame(chain, header_bytes_, batch.packets[filled],
                                    &batch.segments[size_t{filled} * kMaxSegments]);
    ring.put(chain.id, chain.slots, 0);  // the driver learns of it in rx_done()
    if (refused == Drop::count) [[likely]]
      ++filled;
    else
      drops.add(refused);
  }
  if (fault != Fault::none) [[unlikely]]
    set_fault(fault, Side::transmit);
  return filled;
}

template <class Ring>
inline Fault RingLink<Ring>::take_frame(Ring& ring, Chain& chain) noexcept {
  const Fault fault = ring.take(*memory_, false, chain);
  if (fault != Fault::none) return fault;
  if (chain.bytes <= header_bytes_) return Fault::frame_short;
  return chain.bytes > header_bytes_ + kMaxFrame ? Fault::frame_long : Fault::none;
}

template <class Ring>
uint16_t RingLink<Ring>::tx(uint8_t pair, std::span<Packet* const> packets, Drop* drops) noexcept {
  Queue& queue = tx_[pair];
  uint16_t sent = 0;
  usable(Side::receive);
  for (size_t i = 0; i < packets.size(); ++i) {
    const Drop refused = send(queue.ring, *packets[i]);
    if (refused == Drop::count) [[likely]]
      ++sent;
    else
      drops[i] = refused;
  }
  queue.packets.add(sent);
  return sent;
}

template <class Ring>
inline Drop RingLink<Ring>::send(Ring& ring, const Packet& packet) noexcept {
  if (broken()) [[unlikely]]
    return Drop::tx_port_down;
  // Asked for while another driver was there (takes_offload() changes with the driver).
  if (packet.offload.any() && !takes_offload()) [[unlikely]]
    return Drop::tx_segmentation;
  return spread(ring, {.net = header_from(packet.offload, packet.l4_offset), .buffers = 1}, packet);
}

// Over as many of the driver's buffers as the frame needs; one alone without mergeable ones.
// A frame that does not fit leaves what it wrote unpublished: the next one overwrites it.
template <class Ring>
inline Drop RingLink<Ring>::spread(Ring& ring, const FrameHeader& header,
                                   const Packet& packet) noexcept {
  const uint16_t most = (features_ & kNetMergeable) != 0 ? kMaxBuffers : uint16_t{1};
  const auto start = ring.position();
  FrameSource source(header, header_bytes_, packet);
  std::array<Given, kMaxBuffers> given;
  std::byte* buffers_field = nullptr;
  uint16_t count = 0;
  while (source.left() > 0) {
    Chain chain;
    const bool room = count < most;
    if (!room || !take_buffer(ring, chain, count == 0)) [[unlikely]] {
      ring.rewind(start);
      if (!room) return Drop::tx_too_long;
      return broken() ? Drop::tx_port_down : Drop::tx_ring_full;
    }
    if (count == 0) buffers_field = chain.pieces[0].data + offsetof(FrameHeader, buffers);
    given[count++] = {chain.id, chain.slots, source.fill(chain)};
  }
  if (count > 1) std::memcpy(buffers_field, &count, sizeof count);
  for (uint16_t i = 0; i < count; ++i) ring.put(given[i].id, given[i].slots, given[i].written);
  return Drop::count;
}

// The first buffer's first piece holds the whole header.
template <class Ring>
inline bool RingLink<Ring>::take_buffer(Ring& ring, Chain& chain, bool first) noexcept {
  Fault fault = Fault::none;
  if (!ring.available(fault)) {
    if (fault != Fault::none) set_fault(fault, Side::receive);
    return false;
  }
  fault = ring.take(*memory_, true, chain);
  if (fault == Fault::none && first && (chain.count == 0 || chain.pieces[0].length < header_bytes_))
    fault = Fault::frame_short;
  if (fault != Fault::none) [[unlikely]]
    set_fault(fault, Side::receive);
  return fault == Fault::none;
}

template <class Ring>
uint32_t RingLink<Ring>::publish(Queues& queues, uint8_t odd) noexcept {
  uint32_t moved = 0;
  for (uint8_t i = 0; i < pairs_; ++i) {
    if (queues[i].ring.publish()) moved |= 1U << (2 * i + odd);
  }
  if (moved == 0) return 0;
  // Full fence: what became visible is visible before we look whether the driver sleeps. It
  // asks for interrupts, fences and looks at the ring; one of us sees the other.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  uint32_t wanted = 0;
  for (uint32_t left = moved; left != 0; left &= left - 1) {
    const int vring = std::countr_zero(left);
    if (queues[static_cast<size_t>(vring) / 2].ring.interrupt_wanted()) wanted |= 1U << vring;
  }
  return wanted;
}

template <class Ring>
bool RingLink<Ring>::arm() noexcept {
  if (broken()) return false;
  kicks_wanted_ = true;
  for (uint8_t i = 0; i < pairs_; ++i) rx_[i].ring.ask_for_kicks(true);
  // Full fence: the mirror image of publish().
  std::atomic_thread_fence(std::memory_order_seq_cst);
  Fault fault = Fault::none;  // rx() finds it again
  return std::any_of(rx_.begin(), rx_.begin() + pairs_,
                     [&fault](Queue& queue) { return queue.ring.available(fault); });
}

template <class Ring>
void RingLink<Ring>::disarm() noexcept {
  kicks_wanted_ = false;
  for (uint8_t i = 0; i < pairs_; ++i) rx_[i].ring.ask_for_kicks(false);
}

template <class Ring>
api::MemifRing RingLink<Ring>::state_of(const Queue& queue, bool transmit) const noexcept {
  api::MemifRing state;
  const uint16_t waiting = queue.ring.waiting();
  state.size = queue.ring.size();
  state.fill = transmit ? waiting : static_cast<uint16_t>(state.size - waiting);
  state.interrupts = queue.ring.interrupt_wanted();
  state.packets = queue.packets.get();
  return state;
}

template <class Ring>
void RingLink<Ring>::state(api::MemifState& state) const noexcept {
  static_assert(kMaxPairs <= api::kMaxMemifRings);
  state.regions = memory_->regions();
  state.region_bytes = memory_->bytes();
  state.rx_rings = state.tx_rings = pairs_;
  for (uint8_t i = 0; i < pairs_; ++i) {
    state.rx[i] = state_of(rx_[i], true);
    state.tx[i] = state_of(tx_[i], false);
  }
}

}  // namespace

std::unique_ptr<Link> Link::make(const LinkConfig& config) {
  if ((config.features & kPackedRing) != 0) return std::make_unique<RingLink<PackedRing>>(config);
  return std::make_unique<RingLink<SplitRing>>(config);
}

std::string Link::fault_text() const {
  static constexpr std::array kTexts = {
#define WEIR_VHOST_FAULT(name, text) text,
      WEIR_VHOST_FAULTS(WEIR_VHOST_FAULT)
#undef WEIR_VHOST_FAULT
  };
  const uint8_t fault = fault_.load(std::memory_order_acquire);  // what set_fault() stored
  if (fault == 0) return {};
  const auto receive = static_cast<uint8_t>(Side::receive);
  const char* const text = kTexts[fault & ~receive];
  if ((fault & ~receive) == static_cast<uint8_t>(Fault::memory)) return text;  // of both rings
  return std::string((fault & receive) != 0 ? "receive ring: " : "transmit ring: ") +
         text;
}

}  // namespace weir::dataplane::vhost
