// A second reading of the memif rings, plain and slow: which frames a client's rings hold
// and whether they break the protocol (../shared/endpoints.md, rule 1).
#pragma once

#include <optional>
#include <vector>

#include "dataplane/ports/memif/link.h"
#include "tests/fuzz/input.h"

namespace weir::fuzz {

using dataplane::memif::Descriptor;
using dataplane::memif::RingHeader;
using dataplane::memif::RingPlace;

// The client's view of its memory.
using Memory = std::vector<std::span<std::byte>>;
using Frame = std::vector<std::byte>;

struct RingModel {
  RingPlace place;
  uint16_t tail = 0;  // ours: what the server has used up

  uint16_t size() const { return static_cast<uint16_t>(1U << place.log2_size); }
  std::byte* base(const Memory& memory) const { return memory[place.region].data() + place.offset; }
  RingHeader& header(const Memory& memory) const {
    return *reinterpret_cast<RingHeader*>(base(memory));
  }
  std::byte* slot(const Memory& memory, uint16_t index) const {
    return base(memory) + sizeof(RingHeader) + (index & (size() - 1U)) * sizeof(Descriptor);
  }
  Descriptor descriptor(const Memory& memory, uint16_t index) const {
    Descriptor result{};
    std::memcpy(&result, slot(memory, index), sizeof result);
    return result;
  }
  uint16_t available(const Memory& memory) const {
    return static_cast<uint16_t>(header(memory).head - tail);
  }
};

// The bytes a descriptor names; nullopt when it may not name them.
inline std::optional<std::span<std::byte>> buffer_of(const Memory& memory, const Descriptor& one) {
  if (one.region >= memory.size() || one.length == 0) return std::nullopt;
  const std::span<std::byte> region = memory[one.region];
  if (one.offset > region.size() || one.length > region.size() - one.offset) return std::nullopt;
  return region.subspan(one.offset, one.length);
}

inline bool inside(const Memory& memory, const std::byte* data, size_t length) {
  return std::ranges::any_of(memory, [&](const std::span<std::byte>& region) {
    return data >= region.data() && length <= region.size() &&
           data <= region.data() + (region.size() - length);
  });
}

struct ReceivedFrames {
  std::vector<Frame> frames;
  std::vector<uint16_t> ends;  // tail behind each frame
  bool broken = false;         // the client broke the rules behind the last of them
};

// What a receiver finds in a ring, from its tail to the client's head.
inline ReceivedFrames read_ring(const Memory& memory, const RingModel& ring) {
  ReceivedFrames result;
  const uint16_t available = ring.available(memory);
  if (available > ring.size()) return {.broken = true};
  Frame frame;
  unsigned pieces = 0;
  for (uint16_t i = 0; i < available; ++i) {
    const Descriptor one = ring.descriptor(memory, static_cast<uint16_t>(ring.tail + i));
    const auto buffer = buffer_of(memory, one);
    if (!buffer || frame.size() + one.length > dataplane::kMaxFrame)
      return result.broken = true, result;
    frame.insert(frame.end(), buffer->begin(), buffer->end());
    if ((one.flags & dataplane::memif::kDescriptorNext) == 0) {
      result.frames.push_back(std::exchange(frame, {}));
      result.ends.push_back(static_cast<uint16_t>(ring.tail + i + 1));
      pieces = 0;
    } else if (++pieces == dataplane::kMaxSegments) {
      return result.broken = true, result;
    }
  }
  result.broken = !frame.empty();
  return result;
}

}  // namespace weir::fuzz
