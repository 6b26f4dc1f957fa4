// The device's end of a split virtqueue (virtio 1.2, 2.7).
//
// The pod may change any byte of the ring at any time. Invariants: every shared value is read
// once; our own index is private and never read back; what take() hands out was checked.
// Threads: the owning worker; base() by the main thread, a grace period later.
#pragma once

#include "dataplane/ports/vhost/chain.h"

namespace weir::dataplane::vhost {

class SplitRing {
 public:
  static constexpr uint64_t driver_bytes(uint32_t size) { return sizeof(RingHead) + 2ULL * size; }
  static constexpr uint64_t device_bytes(uint32_t size) {
    return sizeof(RingHead) + sizeof(UsedElement) * uint64_t{size};
  }
  static constexpr bool size_is_good(uint32_t size) { return std::has_single_bit(size); }

  SplitRing() = default;
  explicit SplitRing(const RingPlace& place) noexcept
      : descriptors_(place.descriptors),
        available_(reinterpret_cast<RingHead*>(place.driver)),
        used_(reinterpret_cast<RingHead*>(place.device)),
        heads_(reinterpret_cast<uint16_t*>(place.driver + sizeof(RingHead))),
        elements_(reinterpret_cast<UsedElement*>(place.device + sizeof(RingHead))),
        size_(place.size),
        next_(place.base),
        given_(place.base),
        published_(place.base),
        seen_(place.base) {}

  uint16_t size() const noexcept { return size_; }
  uint16_t base() const noexcept { return next_; }

  // Whether a chain waits; with Fault::index the driver lied.
  bool available(Fault& fault) noexcept {
    if (seen_ != next_) return true;
    // acquire: heads and descriptors that the driver wrote before it moved the index
    seen_ = std::atomic_ref(available_->index).load(std::memory_order_acquire);
    if (static_cast<uint16_t>(seen_ - next_) <= size_) [[likely]]
      return seen_ != next_;
    fault = Fault::index;
    seen_ = next_;
    return false;
  }

  // The next chain; only when one is available().
  Fault take(const Memory& memory, bool for_writing, Chain& chain) noexcept {
    // relaxed: ordered by the index
    const uint16_t head =
        std::atomic_ref(heads_[next_ & (size_ - 1)]).load(std::memory_order_relaxed);
    if (head >= size_) [[unlikely]]
      return Fault::head;
    chain.id = head;
    chain.slots = 1;
    ++next_;
    return walk(memory, descriptors_, size_, head, for_writing, chain);
  }

  // Where take() stands, to go back to.
  uint16_t position() const noexcept { return next_; }
  void rewind(uint16_t position) noexcept { next_ = position; }

  // Gives a chain back; visible to the driver with publish(). In the order of take().
  void put(uint16_t id, uint16_t /*slots*/, uint32_t written) noexcept {
    UsedElement& element = elements_[given_++ & (size_ - 1)];
    // relaxed: the index's release publishes both
    std::atomic_ref(element.id).store(id, std::memory_order_relaxed);
    std::atomic_ref(element.length).store(written, std::memory_order_relaxed);
  }
  // True when something became visible.
  bool publish() noexcept {
    if (published_ == given_) return false;
    published_ = given_;
    // release: our reads and writes of the buffers come before their return
    std::atomic_ref(used_->index).store(given_, std::memory_order_release);
    return true;
  }

  // After a full fence that follows publish().
  bool interrupt_wanted() const noexcept {
    return (std::atomic_ref(available_->flags).load(std::memory_order_relaxed) &
            kAvailNoInterrupt) == 0;
  }
  // relaxed: arm() fences
  void ask_for_kicks(bool wanted) noexcept {
    std::atomic_ref(used_->flags).store(wanted ? 0 : kUsedNoNotify, std::memory_order_relaxed);
  }
  // For people: what the driver has made available and we did not take.
  uint16_t waiting() const noexcept {
    const auto index = std::atomic_ref(available_->index).load(std::memory_order_relaxed);
    return std::min(static_cast<uint16_t>(index - next_), size_);
  }

 private:
  static Fault walk(const Memory& memory, DescriptorSlot* table, uint32_t entries, uint32_t index,
                    bool for_writing, Chain& chain, bool nested = false) noexcept {
    for (uint16_t count = 0; count < kMaxChain; ++count) {
      if (index >= entries) [[unlikely]]
        return nested ? Fault::indirect : Fault::head;
      const Descriptor one = snapshot<SplitDescriptor>(table[index]);
      if ((one.flags & kDescriptorIndirect) != 0) [[unlikely]] {
        DescriptorSlot* inner = nested ? nullptr : indirect_table(memory, one);
        if (inner == nullptr) return Fault::indirect;
        const auto inside = static_cast<uint32_t>(one.length / sizeof(DescriptorSlot));
        return walk(memory, inner, inside, 0, for_writing, chain, true);
      }
      if (const Fault fault = add_buffer(memory, one, for_writing, chain); fault != Fault::none)
        return fault;
      if ((one.flags & kDescriptorNext) == 0) [[likely]]
        return Fault::none;
      index = one.link;
    }
    return Fault::chain;
  }

  DescriptorSlot* descriptors_ = nullptr;
  RingHead* available_ = nullptr;
  RingHead* used_ = nullptr;
  uint16_t* heads_ = nullptr;
  UsedElement* elements_ = nullptr;
  uint16_t size_ = 0;
  uint16_t next_ = 0;       // chain that take() takes
  uint16_t given_ = 0;      // chains that put() gave back, as an index
  uint16_t published_ = 0;  // `given_`, as the driver was told
  uint16_t seen_ = 0;       // the driver's index when it was last read
};

}  // namespace weir::dataplane::vhost
