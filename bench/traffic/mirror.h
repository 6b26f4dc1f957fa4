// The least a device can do between two memif ports: bytes are copied from ring to ring,
// nothing is looked at and nothing checked. With whole frames it is what no device under
// test can surpass on the same two cores; with headers alone it shows what generator and
// sink can do.
#pragma once

#include <stop_token>

#include "bench/traffic/rings.h"

namespace weir::bench {

// Plays the server of both rings.
class Mirror {
 public:
  // Copies at most the first `limit` bytes of a frame.
  Mirror(const RingView& from, const RingView& to, uint32_t limit)
      : from_(from), to_(to), limit_(limit) {}

  // Moves up to 64 frames.
  void round() noexcept;
  // Rounds on core `core` until told to stop.
  void run(unsigned core, const std::stop_token& stop) noexcept;

 private:
  RingView from_;
  RingView to_;
  uint32_t limit_;
  uint16_t taken_ = 0;
  uint16_t given_ = 0;
};

}  // namespace weir::bench
