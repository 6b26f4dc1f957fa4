// The policer's arithmetic: rate, burst, extremes, and several workers at once.
#include "dataplane/core/policer.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace weir::dataplane::test {
namespace {

constexpr uint64_t kHz = 2'500'000'000;
constexpr uint64_t kSecond = kHz;
constexpr uint32_t kFrame = 1500;

// Bytes let through when frames are offered all the time for `seconds`.
uint64_t offered(Policer& policer, uint64_t from, double seconds, uint64_t frames_a_second) {
  uint64_t passed = 0;
  const auto frames = static_cast<uint64_t>(seconds * static_cast<double>(frames_a_second));
  for (uint64_t i = 0; i < frames; ++i) {
    if (policer.take(from + i * kHz / frames_a_second, kFrame)) passed += kFrame;
  }
  return passed;
}

TEST(Policer, lets_the_burst_pass_and_then_the_rate) {
  constexpr uint64_t kRate = 100'000'000;  // bit/s
  constexpr uint64_t kBurst = 8'000'000;   // bits
  Policer policer(kRate, kBurst, kHz);
  const uint64_t passed = offered(policer, 10 * kSecond, 2.0, 1'000'000);
  EXPECT_NEAR(static_cast<double>(passed), (2 * kRate + kBurst) / 8.0, 2 * kFrame);
}

TEST(Policer, is_full_again_after_a_pause_and_not_more_than_full) {
  Policer policer(8'000'000, 8'000'000, kHz);  // 1 MB/s, 1 MB deep
  uint64_t now = kSecond;
  uint64_t first = 0;
  while (policer.take(now, kFrame)) first += kFrame;
  EXPECT_NEAR(static_cast<double>(first), 1e6, kFrame);
  now += kSecond / 2;
  uint64_t second = 0;
  while (policer.take(now, kFrame)) second += kFrame;
  EXPECT_NEAR(static_cast<double>(second), 5e5, kFrame);
  now += 1000 * kSecond;
  uint64_t third = 0;
  while (policer.take(now, kFrame)) third += kFrame;
  EXPECT_EQ(third, first);
}

TEST(Policer, always_fits_the_largest_frame_when_it_is_full) {
  for (const uint64_t rate :
       {uint64_t{1}, uint64_t{1000}, uint64_t{1'000'000'000'000}, UINT64_MAX}) {
    Policer policer(rate, 1, kHz);
    EXPECT_TRUE(policer.take(kSecond, kMaxFrame)) << rate;
  }
}

TEST(Policer, takes_extreme_numbers) {
  Policer slow(1, 1, kHz);
  EXPECT_TRUE(slow.take(0, kMaxFrame));
  EXPECT_FALSE(slow.take(kSecond, 1));
  Policer fast(UINT64_MAX, UINT64_MAX, kHz);
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(fast.take(kSecond, kMaxFrame));
  Policer off(0, 0, kHz);
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(off.take(kSecond, kMaxFrame));
}

TEST(Policer, is_shared_by_workers_exactly) {
  constexpr uint64_t kBytes = 1'000'000;
  Policer policer(8, kBytes * 8, kHz);  // nothing comes back meanwhile
  std::vector<uint64_t> passed(4);
  {
    std::vector<std::jthread> workers;
    for (uint64_t& mine : passed) {
      workers.emplace_back([&policer, &mine] {
        for (int i = 0; i < 200'000; ++i) mine += policer.take(kSecond, 10) ? 10 : 0;
      });
    }
  }
  uint64_t sum = 0;
  for (const uint64_t mine : passed) sum += mine;
  EXPECT_EQ(sum, kBytes);
}

}  // namespace
}  // namespace weir::dataplane::test
