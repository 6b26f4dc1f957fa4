// What a worker does with a vhost-user link, with checks of all that it gets.
#pragma once

#include <array>
#include <vector>

#include "dataplane/ports/vhost/link.h"
#include "tests/fuzz/input.h"

namespace weir::fuzz {

using dataplane::Packet;
using dataplane::vhost::Link;

class LinkUser {
 public:
  // A burst in, and out again as it came; `touch` sees each piece of a frame's body.
  template <class Touch>
  void work(Link& link, Touch&& touch) {
    using namespace weir::dataplane;
    const bool was_broken = link.faulty();
    DropSink sink(counters_);
    const uint16_t count = link.rx({.packets = packets_, .segments = segments_}, sink);
    WEIR_INVARIANT(count <= kVectorSize && (!was_broken || count == 0));
    for (uint16_t i = 0; i < count; ++i) check(packets_[i], touch);
    send(link, count);
    (void)link.flush();
    (void)link.rx_done();
    WEIR_INVARIANT(link.faulty() == !link.fault_text().empty());
  }

 private:
  template <class Touch>
  void check(const Packet& packet, Touch& touch) const {
    using namespace weir::dataplane;
    WEIR_INVARIANT(packet.length > 0 && packet.length <= kMaxFrame);
    WEIR_INVARIANT(packet.head_length <= kHeadSize && packet.body_count <= kMaxSegments);
    uint32_t length = packet.head_length;
    for (uint16_t i = 0; i < packet.body_count; ++i) {
      touch(packet.body[i]);
      length += packet.body[i].length;
    }
    WEIR_INVARIANT(length == packet.length);
  }

  void send(Link& link, uint16_t count) {
    using namespace weir::dataplane;
    for (uint8_t pair = 0; pair < link.pairs(); ++pair) {
      drops_.fill(Drop::count);
      for (uint16_t i = 0; i < count; ++i) pointers_[i] = &packets_[i];
      const uint16_t sent = link.tx(pair, std::span(pointers_).first(count), drops_.data());
      WEIR_INVARIANT(sent == std::count(drops_.begin(), drops_.begin() + count, Drop::count));
    }
  }

  static inline dataplane::PortCounterBlock counters_;
  static inline std::array<Packet, dataplane::kVectorSize> packets_;
  static inline std::array<dataplane::Segment,
                           size_t{dataplane::kVectorSize} * dataplane::kMaxSegments>
      segments_;
  std::array<Packet*, dataplane::kVectorSize> pointers_{};
  std::array<dataplane::Drop, dataplane::kVectorSize> drops_{};
};

}  // namespace weir::fuzz
