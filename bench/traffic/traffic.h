// Generator and sink on one core: a loop that fills the sending pod's ring and empties the
// receiving pod's. In mode touch it writes every frame's headers, so that cache lines move
// as with a real sender; in mode replay only descriptors move.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "bench/traffic/frames.h"
#include "bench/traffic/histogram.h"
#include "bench/traffic/rings.h"

namespace weir::bench {

enum class Mode : uint8_t { touch, replay };

struct TrafficOptions {
  Mode mode = Mode::touch;
  std::vector<uint32_t> sizes{64};  // with Ethernet's checksum; taken in turns
  double rate = 0;                  // frames a second; 0: as many as the ring takes
  double warmup = 0.1;              // seconds
  double seconds = 0.5;
  uint32_t check_every = 16;  // the sink reads the headers of one frame in so many
};

// Frames of the measured time, but those marked "whole", which count warm-up and drain too.
struct TrafficReport {
  double seconds = 0;
  uint64_t offered = 0;  // what the rate asked for, or what was sent
  uint64_t refused = 0;  // due while the ring was full; a NIC would have dropped them
  uint64_t sent = 0;
  uint64_t received = 0;
  uint64_t received_bytes = 0;  // with Ethernet's checksum
  uint64_t lost = 0;            // whole: sent and never received
  uint64_t checked = 0;         // whole
  uint64_t bad = 0;             // whole: not as they were sent
  uint64_t stalls = 0;          // times the generator itself was away for too long
  double busy = 0;              // share of its time in which it moved frames
  double waited = 0;            // share of its time in which others had its core
  Histogram latency_ns;         // of checked frames; touch only
};

class Traffic {
 public:
  // `device` runs once a turn, in case the caller plays the device; may be empty.
  Traffic(TxRing tx, std::vector<RxRing> rx, Frames frames, TrafficOptions options,
          std::function<void()> device = {});

  TrafficReport run();

 private:
  void prepare();
  void phase(double seconds, bool sending);
  uint64_t turn(uint64_t now, bool sending) noexcept;
  uint16_t send(uint64_t now) noexcept;
  uint16_t due(uint64_t now) noexcept;
  void emit(uint16_t count, uint64_t now) noexcept;
  uint16_t receive(RxRing& from, uint64_t now) noexcept;
  void check(const std::byte* frame, uint32_t length, uint64_t now) noexcept;

  TxRing tx_;
  std::vector<RxRing> rx_;
  Frames frames_;
  TrafficOptions options_;
  std::function<void()> device_;
  std::vector<uint32_t> lengths_;  // of each slot's frame
  double cycles_per_frame_ = 0;    // 0: no rate
  double next_due_ = 0;            // cycles
  uint64_t excused_until_ = 0;     // cycles; see kWakeSeconds
  uint32_t until_check_ = 1;
  uint64_t busy_cycles_ = 0;
  TrafficReport total_;
};

}  // namespace weir::bench
