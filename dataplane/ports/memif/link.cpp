#include "dataplane/ports/memif/link.h"

#include <algorithm>
#include <cstring>

#include "dataplane/core/frame_copy.h"

namespace weir::dataplane::memif {

namespace {

uint16_t load_acquire(uint16_t& shared) noexcept {
  // acquire: descriptors and data that the peer wrote before it moved the index
  return std::atomic_ref(shared).load(std::memory_order_acquire);
}

void store_release(uint16_t& shared, uint16_t value) noexcept {
  // release: our reads (rx) and writes (tx) of the buffers come before their return
  std::atomic_ref(shared).store(value, std::memory_order_release);
}

// The one read of a descriptor. relaxed: order comes from the head; atomic so that the
// compiler cannot read it again.
Descriptor snapshot(DescriptorSlot& slot) noexcept {
  const uint64_t word = std::atomic_ref(slot.flags_region_length).load(std::memory_order_relaxed);
  return {.flags = static_cast<uint16_t>(word),
          .region = static_cast<uint16_t>(word >> 16),
          .length = static_cast<uint32_t>(word >> 32),
          .offset = std::atomic_ref(slot.offset).load(std::memory_order_relaxed),
          .metadata = 0};
}

void write_back(DescriptorSlot& slot, uint16_t flags, uint16_t region, uint32_t length) noexcept {
  const uint64_t word = flags | uint64_t{region} << 16 | uint64_t{length} << 32;
  // relaxed: the tail's release publishes it
  std::atomic_ref(slot.flags_region_length).store(word, std::memory_order_relaxed);
}

// Moves the first bytes of a frame in pieces into the packet; what is left stays its body.
void gather_head(Packet& packet) noexcept {
  std::byte* to = packet.storage + kHeadroom;
  uint32_t left = std::min<uint32_t>(packet.length, kHeadSize);
  packet.head_offset = kHeadroom;
  packet.head_length = static_cast<uint16_t>(left);
  while (left > 0) {
    Segment& piece = *packet.body;
    const uint32_t length = std::min(left, piece.length);
    std::memcpy(to, piece.data, length);
    to += length;
    left -= length;
    piece.data += length;
    piece.length -= length;
    if (piece.length == 0) {
      ++packet.body;
      --packet.body_count;
    }
  }
}

// Reads a packet's bytes in order: head, then body.
class FrameReader {
 public:
  explicit FrameReader(const Packet& packet) noexcept
      : data_(packet.data()), here_(packet.head_length), next_(packet.body), left_(packet.length) {}

  uint32_t left() const noexcept { return left_; }

  void copy(std::byte* to, uint32_t length) noexcept {
    left_ -= length;
    while (length > 0) {
      if (here_ == 0) {
        data_ = next_->data;
        here_ = next_->length;
        ++next_;
      }
      const uint32_t part = std::min(length, here_);
      copy_body(to, data_, part);
      to += part;
      data_ += part;
      here_ -= part;
      length -= part;
    }
  }

 private:
  const std::byte* data_;
  uint32_t here_;  // bytes left of the current piece
  const Segment* next_;
  uint32_t left_;  // bytes left of the frame
};

}  // namespace

std::string_view to_string(Fault fault) noexcept {
  static constexpr std::array kTexts = {
#define WEIR_MEMIF_FAULT(name, text) std::string_view(text),
      WEIR_MEMIF_FAULTS(WEIR_MEMIF_FAULT)
#undef WEIR_MEMIF_FAULT
  };
  return kTexts[static_cast<size_t>(fault)];
}

Link::Link(std::vector<Region> regions, std::span<const RingPlace> receive,
           std::span<const RingPlace> send, uint16_t buffer)
    : view_count_(static_cast<uint16_t>(regions.size())),
      rx_count_(static_cast<uint8_t>(receive.size())),
      tx_count_(static_cast<uint8_t>(send.size())),
      buffer_(buffer),
      regions_(std::move(regions)) {
  for (uint16_t i = 0; i < view_count_; ++i) views_[i] = {regions_[i].base(), regions_[i].size()};
  for (uint8_t i = 0; i < rx_count_; ++i) {
    rx_[i] = make_ring(receive[i]);
    store_release(*rx_[i].ours, rx_[i].ahead);
    store_release(rx_[i].header->flags, 0);  // the worker may sleep: interrupts wanted
  }
  for (uint8_t i = 0; i < tx_count_; ++i) {
    tx_[i] = make_ring(send[i]);
    store_release(*tx_[i].ours, 0);
  }
}

Link::Ring Link::make_ring(const RingPlace& place) noexcept {
  std::byte* base = views_[place.region].base + place.offset;
  auto* header = reinterpret_cast<RingHeader*>(base);
  const bool client = buffer_ != 0;
  const auto size = static_cast<uint16_t>(1U << place.log2_size);
  Ring ring{.header = header,
            .slots = reinterpret_cast<DescriptorSlot*>(base + sizeof(RingHeader)),
            .theirs = client ? &header->tail : &header->head,
            .ours = client ? &header->head : &header->tail,
            .size = size,
            .mask = static_cast<uint16_t>(size - 1),
            .ahead = client ? size : uint16_t{0},
            .buffers = place.buffers};
  lend(ring, ring.ahead);
  return ring;
}

// Client role: writes descriptors anew, of buffers that are the peer's to fill (rx) or ours
// (tx) from now on. From private values: what the peer left in them counts for nothing.
void Link::lend(Ring& ring, uint16_t until) noexcept {
  if (static_cast<uint16_t>(until - ring.lent) > ring.size) return;  // the peer went back
  for (; ring.lent != until; ++ring.lent) {
    const uint32_t slot = ring.lent & ring.mask;
    const uint32_t offset = ring.buffers + slot * buffer_stride(buffer_);
    write_back(ring.slots[slot], 0, 0, buffer_);
    // relaxed: the head's release publishes it
    std::atomic_ref(ring.slots[slot].offset).store(offset, std::memory_order_relaxed);
  }
}

// Always 0, the number of descriptors that a broken frame may use.
uint16_t Link::set_fault(Fault fault) noexcept {
  // release: pairs with the main thread's read; the first fault is the one reported
  if (!broken()) fault_.store(fault, std::memory_order_release);
  return 0;
}

// nullptr after a fault.
inline const Link::View* Link::view_of(const Descriptor& descriptor, Fault region, Fault range,
                                       Fault empty) noexcept {
  Fault found = Fault::none;
  if (descriptor.region >= view_count_) [[unlikely]] {
    found = region;
  } else if (descriptor.length == 0) [[unlikely]] {
    found = empty;
  } else if (uint64_t{descriptor.offset} + descriptor.length > views_[descriptor.region].size)
      [[unlikely]] {
    found = range;
  }
  if (found == Fault::none) [[likely]]
    return &views_[descriptor.region];
  set_fault(found);
  return nullptr;
}

uint16_t Link::rx(const RxBatch& batch) noexcept {
  if (broken()) return 0;
  if (interrupts_wanted_) disarm();  // a new link starts with interrupts on; we poll now
  uint16_t filled = 0;
  for (uint8_t i = 0; i < rx_count_ && filled < batch.packets.size(); ++i) {
    rx_next_ = rx_next_ + 1U < rx_count_ ? static_cast<uint8_t>(rx_next_ + 1) : uint8_t{0};
    const uint16_t before = filled;
    filled = rx_ring(rx_[rx_next_], batch, filled);
    if (filled != before) rx_packets_[rx_next_].add(filled - before);  // idle ports stay cheap
  }
  return filled;
}

uint16_t Link::rx_ring(Ring& ring, const RxBatch& batch, uint16_t filled) noexcept {
  const auto available = static_cast<uint16_t>(load_acquire(*ring.theirs) - ring.next);
  if (available > ring.size) [[unlikely]] {
    set_fault(Fault::rx_head);
    return filled;
  }
  const std::span packets = batch.packets;
  prefetch_buffers<kRead>(ring, ring.next, std::min<size_t>(available, packets.size() - filled));
  // In registers, as stores to packets may change anything else as far as the compiler knows.
  DescriptorSlot* const slots = ring.slots;
  const size_t mask = ring.mask;
  Usual usual = usual_of(ring);
  size_t next = ring.next;
  const size_t end = next + available;
  Segment* pieces = &batch.segments[size_t{filled} * kMaxSegments];
  for (; next < end && filled < packets.size(); ++filled, pieces += kMaxSegments) {
    Packet& packet = packets[filled];
    if (take_whole(usual, slots[next & mask], packet, pieces)) [[likely]] {
      ++next;
      continue;
    }
    const uint16_t used = take_frame(ring, next, end, packet, pieces);
    if (used == 0) break;
    gather_head(packet);
    next += used;
    usual = usual_of(ring);
  }
  ring.next = static_cast<uint16_t>(next);
  // What waits for the next sweep comes near while the stages work on this one.
  prefetch_buffers<kRead>(ring, ring.next, std::min<size_t>(end - next, kVectorSize));
  return filled;
}

// A hint alone: what is read here is checked when it is used.
template <Link::Access access>
inline void Link::prefetch_buffers(Ring& ring, uint16_t from, size_t count) const noexcept {
  const auto until = static_cast<uint16_t>(from + count);
  // From where the last call ended, unless that is not within [from, until).
  if (static_cast<uint16_t>(ring.fetched - from) <= count) from = ring.fetched;
  ring.fetched = until;
  // An integer, as nothing says yet that a buffer lies within the region.
  const auto base = reinterpret_cast<uintptr_t>(views_[ring.region].base);
  const size_t end = from + size_t{static_cast<uint16_t>(until - from)};
  for (size_t i = from; i != end; ++i) {
    const Descriptor descriptor = snapshot(ring.slots[i & ring.mask]);
    const uintptr_t at = base + descriptor.offset;
    __builtin_prefetch(reinterpret_cast<const void*>(at), access);
    if (access == kRead && descriptor.length > 64)
      __builtin_prefetch(reinterpret_cast<const void*>(at + 64));
  }
}

// The common case of take_frame(): one good descriptor. Says no to anything else.
inline bool Link::take_whole(const Usual& usual, DescriptorSlot& slot, Packet& packet,
                             Segment* pieces) noexcept {
  const Descriptor descriptor = snapshot(slot);
  const uint32_t length = descriptor.length;
  if (descriptor.flags != 0 || descriptor.region != usual.region || length - 1 >= kMaxFrame || uint64_t{descriptor.offset} + length > usual.view.size)
      [[unlikely]] {
    return false;
  }
  const std::byte* const data = usual.view.base + descriptor.offset;
  // May take more than the frame has: a region has kReadSlack behind it.
  static_assert(kHeadSize == 128 && kHeadSize <= kReadSlack);
  std::memcpy(packet.storage + kHeadroom, data, 64);
  packet.length = length;
  packet.head_offset = kHeadroom;
  packet.head_length = static_cast<uint16_t>(length);
  packet.offload = {};
  packet.body = pieces;
  packet.body_count = 0;
  if (length <= 64) return true;
  std::memcpy(packet.storage + kHeadroom + 64, data + 64, 64);
  if (length <= kHeadSize) return true;
  packet.head_length = kHeadSize;
  packet.body_count = 1;
  *pieces = {data + kHeadSize, length - kHeadSize};
  return true;
}

// Returns the number of descriptors used, 0 after a fault.
uint16_t Link::take_frame(Ring& ring, size_t next, size_t end, Packet& packet,
                          Segment* pieces) noexcept {
  uint32_t length = 0;
  uint16_t count = 0;
  while (true) {
    const Descriptor descriptor = snapshot(ring.slots[(next + count) & ring.mask]);
    const View* view = view_of(descriptor, Fault::rx_region, Fault::rx_range, Fault::rx_empty);
    if (view == nullptr) [[unlikely]]
      return 0;
    if (descriptor.length > kMaxFrame - length) [[unlikely]]
      return set_fault(Fault::rx_long);
    ring.region = descriptor.region;
    pieces[count++] = {view->base + descriptor.offset, descriptor.length};
    length += descriptor.length;
    if ((descriptor.flags & kDescriptorNext) == 0) break;
    if (next + count == end) return set_fault(Fault::rx_unfinished);
    if (count == kMaxSegments) return set_fault(Fault::rx_chain);
  }
  packet.length = length;
  packet.body = pieces;
  packet.body_count = count;
  packet.offload = {};
  return count;
}

void Link::rx_done() noexcept {
  for (uint8_t i = 0; i < rx_count_; ++i) {
    Ring& ring = rx_[i];
    if (ring.published == ring.next) continue;
    ring.published = ring.next;
    const auto offered = static_cast<uint16_t>(ring.next + ring.ahead);
    if (buffer_ != 0) lend(ring, offered);
    store_release(*ring.ours, offered);
  }
}

uint16_t Link::tx(uint8_t queue, std::span<Packet* const> packets, Drop* drops) noexcept {
  Ring& ring = tx_[queue];
  uint16_t available = 0;
  if (!broken()) {
    available = static_cast<uint16_t>(load_acquire(*ring.theirs) + ring.ahead - ring.next);
    if (available > ring.size) [[unlikely]]
      available = set_fault(Fault::tx_head);
    if (buffer_ != 0) lend(ring, static_cast<uint16_t>(ring.next + available));
  }
  prefetch_buffers<kWrite>(ring, ring.next, std::min<size_t>(available, packets.size()));
  DescriptorSlot* const slots = ring.slots;
  const size_t mask = ring.mask;
  Usual usual = usual_of(ring);
  size_t next = ring.next;
  size_t end = next + available;
  uint16_t sent = 0;
  for (size_t i = 0; i < packets.size(); ++i) {
    const Packet& packet = *packets[i];
    if (next != end && put_whole(usual, slots[next & mask], packet)) [[likely]] {
      ++next;
      ++sent;
      continue;
    }
    const uint16_t used = put_frame(ring, next, end, packet, drops[i]);
    if (broken()) end = next;
    next += used;
    sent = static_cast<uint16_t>(sent + (used != 0));
    usual = usual_of(ring);
  }
  ring.next = static_cast<uint16_t>(next);
  // As many again are likely to follow.
  prefetch_buffers<kWrite>(ring, ring.next, std::min<size_t>(end - next, sent));
  tx_packets_[queue].add(sent);
  return sent;
}

// The common case of put_frame(): the frame fits the next buffer. Says no to anything else.
inline bool Link::put_whole(const Usual& usual, DescriptorSlot& slot, const Packet& packet) noexcept {
  const Descriptor descriptor = snapshot(slot);
  if (descriptor.region != usual.region || descriptor.length < packet.length ||
      uint64_t{descriptor.offset} + descriptor.length > usual.view.size) [[unlikely]] {
    return false;
  }
  copy_frame(usual.view.base + descriptor.offset, packet);
  write_back(slot, 0, usual.region, packet.length);
  return true;
}

// Returns the number of buffers used, 0 with `drop` set. A frame that does not fit
// leaves what it wrote unpublished: the next frame overwrites it.
uint16_t Link::put_frame(Ring& ring, size_t next, size_t end, const Packet& packet,
                         Drop& drop) noexcept {
  FrameReader reader(packet);
  uint16_t count = 0;
  while (reader.left() > 0) {
    if (broken()) [[unlikely]] {
      drop = Drop::tx_port_down;
      return 0;
    }
    if (count == kMaxSegments) {
      drop = Drop::tx_too_long;
      return 0;
    }
    if (next + count == end) {
      drop = Drop::tx_ring_full;
      return 0;
    }
    DescriptorSlot& slot = ring.slots[(next + count) & ring.mask];
    const Descriptor descriptor = snapshot(slot);
    const View* view = view_of(descriptor, Fault::tx_region, Fault::tx_range, Fault::tx_empty);
    if (view == nullptr) [[unlikely]]
      continue;  // broken() now
    ring.region = descriptor.region;
    const uint32_t part = std::min(reader.left(), descriptor.length);
    reader.copy(view->base + descriptor.offset, part);
    write_back(slot, reader.left() > 0 ? kDescriptorNext : uint16_t{0}, descriptor.region, part);
    ++count;
  }
  return count;
}

uint32_t Link::flush() noexcept {
  uint32_t moved = 0;
  for (uint8_t i = 0; i < tx_count_; ++i) {
    Ring& ring = tx_[i];
    if (ring.published == ring.next) continue;
    ring.published = ring.next;
    store_release(*ring.ours, ring.next);
    moved |= 1U << i;
  }
  if (moved == 0) return 0;
  // Full fence: the indices are visible before we look whether the peer sleeps. The peer
  // clears its mask, fences and looks at them; one of us sees the other.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  uint32_t wanted = 0;
  for (uint32_t left = moved; left != 0; left &= left - 1) {
    const int i = std::countr_zero(left);
    const uint16_t flags =
        std::atomic_ref(tx_[i].header->flags).load(std::memory_order_relaxed);  // see the fence
    if ((flags & kRingMaskInterrupt) == 0) wanted |= 1U << i;
  }
  return wanted;
}

bool Link::arm() noexcept {
  if (broken()) return false;
  interrupts_wanted_ = true;
  for (uint8_t i = 0; i < rx_count_; ++i) store_release(rx_[i].header->flags, 0);
  // Full fence: the mirror image of flush().
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return std::any_of(rx_.begin(), rx_.begin() + rx_count_,
                     [](Ring& ring) { return load_acquire(*ring.theirs) != ring.next; });
}

void Link::disarm() noexcept {
  interrupts_wanted_ = false;
  for (uint8_t i = 0; i < rx_count_; ++i) store_release(rx_[i].header->flags, kRingMaskInterrupt);
}

}  // namespace weir::dataplane::memif
