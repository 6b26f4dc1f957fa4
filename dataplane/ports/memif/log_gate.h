// Bounds what a peer can make us log.
#pragma once

#include <chrono>

namespace weir::dataplane::memif {

// Threads: one.
class LogGate {
 public:
  // At most kBurst times in a window.
  bool open() noexcept {
    const auto now = std::chrono::steady_clock::now();
    if (now - window_ >= kWindow) {
      window_ = now;
      count_ = 0;
    }
    return count_ < kBurst && ++count_ > 0;
  }

 private:
  static constexpr std::chrono::seconds kWindow{10};
  static constexpr unsigned kBurst = 8;

  std::chrono::steady_clock::time_point window_{};
  unsigned count_ = 0;
};

}  // namespace weir::dataplane::memif
