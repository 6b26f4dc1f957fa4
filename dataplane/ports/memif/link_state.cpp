// What a link tells people about its rings.
#include <algorithm>

#include "dataplane/ports/memif/link.h"

namespace weir::dataplane::memif {

namespace {

uint16_t load_shared(uint16_t& shared) noexcept {
  return std::atomic_ref(shared).load(std::memory_order_relaxed);  // a number for people
}

}  // namespace

// On a ring to the server filled descriptors lie between tail and head, on the other one
// everything else does: head says how many the client has given back.
api::MemifRing Link::state_of(const Ring& ring, bool to_server,
                              const Counter& packets) const noexcept {
  RingHeader& header = *ring.header;
  const auto between = static_cast<uint16_t>(load_shared(header.head) - load_shared(header.tail));
  const uint16_t inside = std::min(between, ring.size);
  api::MemifRing state;
  state.size = ring.size;
  state.fill = to_server ? inside : static_cast<uint16_t>(ring.size - inside);
  state.interrupts = (load_shared(header.flags) & kRingMaskInterrupt) == 0;
  state.packets = packets.get();
  return state;
}

void Link::state(api::MemifState& state) const noexcept {
  static_assert(kMaxQueues == api::kMaxMemifRings);
  const bool server = buffer_ == 0;
  state.regions = view_count_;
  for (const Region& region : regions_) state.region_bytes += region.size();
  state.rx_rings = rx_count_;
  state.tx_rings = tx_count_;
  for (uint8_t i = 0; i < rx_count_; ++i) state.rx[i] = state_of(rx_[i], server, rx_packets_[i]);
  for (uint8_t i = 0; i < tx_count_; ++i) state.tx[i] = state_of(tx_[i], !server, tx_packets_[i]);
}

}  // namespace weir::dataplane::memif
