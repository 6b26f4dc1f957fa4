// The device's end of a packed virtqueue (virtio 1.2, 2.8). Same interface and same rules as
// SplitRing.
#pragma once

#include "dataplane/ports/vhost/chain.h"

namespace weir::dataplane::vhost {

class PackedRing {
 public:
  static constexpr uint64_t driver_bytes(uint32_t) { return sizeof(EventSuppression); }
  static constexpr uint64_t device_bytes(uint32_t) { return sizeof(EventSuppression); }
  static constexpr bool size_is_good(uint32_t size) { return size > 0; }

  PackedRing() = default;
  explicit PackedRing(const RingPlace& place) noexcept
      : slots_(place.descriptors),
        driver_(reinterpret_cast<EventSuppression*>(place.driver)),
        device_(reinterpret_cast<EventSuppression*>(place.device)),
        size_(place.size),
        next_(place.base, place.size),
        given_(next_) {}

  uint16_t size() const noexcept { return size_; }
  uint16_t base() const noexcept { return next_.packed(); }

  bool available(Fault&) noexcept {
    // acquire: the rest of the chain, which the driver wrote before these flags
    return is_available(std::atomic_ref(slots_[next_.index].rest).load(std::memory_order_acquire));
  }

  Fault take(const Memory& memory, bool for_writing, Chain& chain) noexcept {
    const uint16_t longest = std::min(kMaxChain, size_);
    for (chain.slots = 1; chain.slots <= longest; ++chain.slots) {
      const Descriptor one = snapshot<PackedDescriptor>(slots_[next_.index]);
      next_.advance(1, size_);
      chain.id = one.link;
      const Fault fault = (one.flags & kDescriptorIndirect) == 0
                              ? add_buffer(memory, one, for_writing, chain)
                              : add_table(memory, one, for_writing, chain);
      if (fault != Fault::none) [[unlikely]]
        return fault;
      if ((one.flags & kDescriptorNext) == 0) [[likely]]
        return Fault::none;
    }
    return Fault::chain;
  }

  uint16_t position() const noexcept { return next_.packed(); }
  void rewind(uint16_t position) noexcept { next_ = Place(position, size_); }

  void put(uint16_t id, uint16_t slots, uint32_t written) noexcept {
    const uint16_t wrap =
        given_.wrap ? uint16_t{kDescriptorAvailable | kDescriptorUsed} : uint16_t{0};
    const uint16_t flags = written > 0 ? uint16_t(wrap | kDescriptorWrite) : wrap;
    const uint64_t word = written | uint64_t{id} << 32 | uint64_t{flags} << 48;
    if (holding_) {
      // release: our reads and writes of the buffer come before its return
      std::atomic_ref(slots_[given_.index].rest).store(word, std::memory_order_release);
    } else {
      holding_ = true;
      held_index_ = given_.index;
      held_word_ = word;
    }
    given_.advance(slots, size_);
  }
  // The driver looks at chains in order, so the first one hides all that were put after it.
  bool publish() noexcept {
    if (!holding_) return false;
    holding_ = false;
    // release: as in put()
    std::atomic_ref(slots_[held_index_].rest).store(held_word_, std::memory_order_release);
    return true;
  }

  bool interrupt_wanted() const noexcept {
    return std::atomic_ref(driver_->flags).load(std::memory_order_relaxed) != kEventsDisable;
  }
  void ask_for_kicks(bool wanted) noexcept {
    std::atomic_ref(device_->flags)
        .store(wanted ? kEventsEnable : kEventsDisable, std::memory_order_relaxed);
  }
  // A packed ring says of the next chain alone whether it is there.
  uint16_t waiting() const noexcept {
    return is_available(std::atomic_ref(slots_[next_.index].rest).load(std::memory_order_relaxed));
  }

 private:
  // A place in the ring; the wrap counter changes with every round.
  struct Place {
    Place() = default;
    Place(uint16_t packed, uint16_t size)
        : index((packed & 0x7fff) < size ? packed & 0x7fff : 0), wrap(packed >> 15 != 0) {}
    uint16_t packed() const noexcept { return uint16_t(index | (wrap ? 1U << 15 : 0)); }
    void advance(uint16_t slots, uint16_t size) noexcept {
      index = static_cast<uint16_t>(index + slots);
      if (index < size) return;
      index = static_cast<uint16_t>(index - size);
      wrap = !wrap;
    }
    uint16_t index = 0;
    bool wrap = true;
  };

  bool is_available(uint64_t rest) const noexcept {
    const auto flags = static_cast<uint16_t>(rest >> 48);
    return ((flags & kDescriptorAvailable) != 0) == next_.wrap &&
           ((flags & kDescriptorUsed) != 0) != next_.wrap;
  }

  // Entries of an indirect table follow each other; their ids and NEXT flags mean nothing.
  static Fault add_table(const Memory& memory, const Descriptor& table, bool for_writing,
                         Chain& chain) noexcept {
    DescriptorSlot* entries = indirect_table(memory, table);
    if (entries == nullptr) return Fault::indirect;
    const size_t count = table.length / sizeof(DescriptorSlot);
    if (count > kMaxChain) return Fault::chain;
    for (size_t i = 0; i < count; ++i) {
      const Descriptor one = snapshot<PackedDescriptor>(entries[i]);
      if ((one.flags & kDescriptorIndirect) != 0) return Fault::indirect;
      if (const Fault fault = add_buffer(memory, one, for_writing, chain); fault != Fault::none)
        return fault;
    }
    return Fault::none;
  }

  DescriptorSlot* slots_ = nullptr;
  EventSuppression* driver_ = nullptr;
  EventSuppression* device_ = nullptr;
  uint16_t size_ = 0;
  Place next_;   // chain that take() takes
  Place given_;  // where put() writes
  bool holding_ = false;
  uint16_t held_index_ = 0;
  uint64_t held_word_ = 0;
};

}  // namespace weir::dataplane::vhost
