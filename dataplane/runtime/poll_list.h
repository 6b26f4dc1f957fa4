// Which polled ports a sweep looks at: all that had packets lately, and of the others one
// in kColdSweeps, in turn. So 100 idle pods cost a busy one little. With full vectors a
// sweep takes some 3 us: the first packet of an idle port waits at most about 100 us then,
// and not at all on a worker that has nothing else to do, where sweeps take far less.
//
// Owner: one worker. The arrays are its memory, kMaxPorts entries each.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>

namespace weir::dataplane {

class PollList {
 public:
  static constexpr uint8_t kIdleSweeps = 250;  // a port that was empty so often is cold
  static constexpr uint16_t kColdSweeps = 32;

  PollList() = default;
  // `empty` is indexed by port.
  PollList(uint16_t* hot, uint16_t* cold, uint8_t* empty) : hot_(hot), cold_(cold), empty_(empty) {}

  // Forgets what it knew; every port is hot.
  void reset(std::span<const uint16_t> ports) noexcept {
    std::copy(ports.begin(), ports.end(), hot_);
    hot_count_ = static_cast<uint32_t>(ports.size());
    cold_count_ = next_cold_ = 0;
    for (const uint16_t port : ports) empty_[port] = 0;
  }

  // Calls poll(port) -> bool, whether it had packets.
  template <class Poll>
  void sweep(Poll&& poll) noexcept {
    const uint32_t known_hot = hot_count_;
    sweep_cold(poll);
    // Backwards, so that what fills a gap was asked already.
    for (uint32_t i = known_hot; i-- > 0;) {
      const uint16_t port = hot_[i];
      if (poll(port)) {
        empty_[port] = 0;
      } else if (++empty_[port] >= kIdleSweeps) {
        cold_[cold_count_++] = port;
        hot_[i] = hot_[--hot_count_];
      }
    }
  }

  uint32_t hot() const noexcept { return hot_count_; }

 private:
  template <class Poll>
  void sweep_cold(Poll& poll) noexcept {
    if (next_cold_ >= cold_count_ || share_ == 0) {
      next_cold_ = 0;
      share_ = (cold_count_ + kColdSweeps - 1) / kColdSweeps;
    }
    for (uint32_t i = 0; i < share_ && next_cold_ < cold_count_; ++i) {
      if (poll(cold_[next_cold_])) {
        warm_up(next_cold_);
      } else {
        ++next_cold_;
      }
    }
  }
  void warm_up(uint32_t at) noexcept {
    empty_[cold_[at]] = 0;
    hot_[hot_count_++] = cold_[at];
    cold_[at] = cold_[--cold_count_];
  }

  uint16_t* hot_ = nullptr;
  uint16_t* cold_ = nullptr;
  uint8_t* empty_ = nullptr;
  uint32_t hot_count_ = 0;
  uint32_t cold_count_ = 0;
  uint32_t next_cold_ = 0;
  uint32_t share_ = 0;  // cold ports a sweep asks in this turn
};

}  // namespace weir::dataplane
