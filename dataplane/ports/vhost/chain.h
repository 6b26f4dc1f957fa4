// What one chain of descriptors says: copied out of shared memory once, checked, and used
// from the copy alone.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <span>
#include <type_traits>

#include "dataplane/core/packet.h"
#include "dataplane/ports/vhost/memory.h"

namespace weir::dataplane::vhost {

// A Linux driver's longest frame: header, linear part and 17 fragments.
inline constexpr uint16_t kMaxChain = 32;

// How a pod broke the rules of its rings; the port is quarantined for it. Texts follow
// "transmit ring: " or "receive ring: ", as the pod's owner sees them; but not the last.
#define WEIR_VHOST_FAULTS(X)                                                \
  X(none, "")                                                               \
  X(index, "available index moved beyond the ring")                         \
  X(head, "descriptor number beyond the ring")                              \
  X(range, "descriptor points outside the memory table")                    \
  X(chain, "chain of more than 32 descriptors")                             \
  X(indirect, "indirect table is empty, odd, nested or outside the memory") \
  X(direction, "descriptor for the wrong direction")                        \
  X(frame_short, "buffer is shorter than the header")                       \
  X(frame_long, "frame longer than 65553 bytes")                            \
  X(memory, "memory was taken away (truncated file, or no pages left)")

enum class Fault : uint8_t {
#define WEIR_VHOST_FAULT(name, text) name,
  WEIR_VHOST_FAULTS(WEIR_VHOST_FAULT)
#undef WEIR_VHOST_FAULT
};

struct Piece {
  std::byte* data;
  uint32_t length;
};

struct Chain {
  std::array<Piece, kMaxChain> pieces;  // the first `count`; not cleared, for speed
  uint16_t count = 0;
  uint64_t bytes = 0;  // of all pieces
  uint16_t id = 0;     // to give it back by
  uint16_t slots = 0;  // descriptors that it takes in the ring
};

// Of both kinds of descriptors; `link` is a split one's next or a packed one's id.
struct Descriptor {
  uint64_t address;
  uint32_t length;
  uint16_t flags;
  uint16_t link;
};

template <class Wire>
Descriptor snapshot(DescriptorSlot& slot) noexcept {
  // The one read of each word, atomic so that the compiler cannot read it again. acquire:
  // a packed ring publishes by the flags in it, so the address comes after it.
  const uint64_t rest = std::atomic_ref(slot.rest).load(std::memory_order_acquire);
  const uint64_t address = std::atomic_ref(slot.address).load(std::memory_order_relaxed);
  const auto wire = std::bit_cast<Wire>(std::array<uint64_t, 2>{address, rest});
  if constexpr (std::is_same_v<Wire, SplitDescriptor>) {
    return {wire.address, wire.length, wire.flags, wire.next};
  } else {
    return {wire.address, wire.length, wire.flags, wire.id};
  }
}

// Appends a descriptor's buffer to the chain; it may lie across regions that follow each other.
inline Fault add_buffer(const Memory& memory, const Descriptor& descriptor, bool for_writing,
                        Chain& chain) noexcept {
  if (((descriptor.flags & kDescriptorWrite) != 0) != for_writing) [[unlikely]]
    return Fault::direction;
  uint64_t address = descriptor.address;
  uint32_t left = descriptor.length;
  chain.bytes += left;
  while (left > 0) {
    const std::span<std::byte> there = memory.from(address);
    if (there.empty()) [[unlikely]]
      return Fault::range;
    if (chain.count == kMaxChain) [[unlikely]]
      return Fault::chain;
    const auto part = static_cast<uint32_t>(std::min<uint64_t>(left, there.size()));
    chain.pieces[chain.count++] = {there.data(), part};
    address += part;
    left -= part;
  }
  return Fault::none;
}

// The table that an indirect descriptor names, nullptr when it is not allowed.
inline DescriptorSlot* indirect_table(const Memory& memory, const Descriptor& descriptor) noexcept {
  const std::span<std::byte> there = memory.from(descriptor.address);
  const bool good = descriptor.length > 0 && descriptor.length % sizeof(DescriptorSlot) == 0 &&
                    (descriptor.flags & kDescriptorNext) == 0 &&
                    there.size() >= descriptor.length &&
                    reinterpret_cast<uintptr_t>(there.data()) % alignof(DescriptorSlot) == 0;
  return good ? reinterpret_cast<DescriptorSlot*>(there.data()) : nullptr;
}

// Where a ring lies, checked for size and alignment, and where it stands.
struct RingPlace {
  DescriptorSlot* descriptors = nullptr;
  std::byte* driver = nullptr;
  std::byte* device = nullptr;
  uint16_t size = 0;
  uint16_t base = 0;  // split: index of the next chain; packed: place and wrap counter
};

}  // namespace weir::dataplane::vhost
