// Counts of values with bounded relative error, as HdrHistogram keeps them: each power of
// two is cut into 64 equal buckets, so a percentile is at most 1.6 % off. Recording is a
// few instructions and never allocates.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

namespace weir::bench {

class Histogram {
 public:
  void record(uint64_t value) noexcept {
    ++counts_[bucket(value)];
    ++total_;
    if (value > max_) max_ = value;
  }
  uint64_t total() const noexcept { return total_; }
  uint64_t max() const noexcept { return max_; }
  // The value that `percent` of all records do not exceed; 0 when there are none.
  uint64_t percentile(double percent) const noexcept {
    const double wanted = percent / 100 * static_cast<double>(total_);
    uint64_t seen = 0;
    for (uint32_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen > 0 && static_cast<double>(seen) >= wanted) return std::min(upper(i), max_);
    }
    return max_;
  }

 private:
  static constexpr uint32_t kHalf = 64;  // buckets a power of two
  static constexpr uint32_t kShifts = 40;

  // Values below 2 * kHalf have a bucket each.
  static uint32_t bucket(uint64_t value) noexcept {
    const auto width = static_cast<uint32_t>(std::bit_width(value));
    const uint32_t shift = std::min(width > 7 ? width - 7 : 0, kShifts);
    const uint64_t mantissa = std::min<uint64_t>(value >> shift, 2 * kHalf - 1);
    return shift * kHalf + static_cast<uint32_t>(mantissa);
  }
  static uint64_t upper(uint32_t index) noexcept {
    if (index < 2 * kHalf) return index;
    const uint32_t shift = index / kHalf - 1;
    return ((uint64_t{index - shift * kHalf} + 1) << shift) - 1;
  }

  std::array<uint64_t, (kShifts + 2) * kHalf> counts_{};
  uint64_t total_ = 0;
  uint64_t max_ = 0;
};

}  // namespace weir::bench
