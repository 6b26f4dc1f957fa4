#include "dataplane/runtime/poll_list.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <numeric>
#include <set>
#include <vector>

namespace weir::dataplane {
namespace {

class PollListTest : public ::testing::Test {
 protected:
  PollListTest() {
    std::iota(ports_.begin(), ports_.end(), uint16_t{0});
    list_.reset(ports_);
  }

  // How often each port was asked in `sweeps` sweeps; ports in `busy` have packets.
  std::map<uint16_t, unsigned> sweep(unsigned sweeps, const std::set<uint16_t>& busy = {}) {
    std::map<uint16_t, unsigned> asked;
    for (unsigned i = 0; i < sweeps; ++i) {
      std::set<uint16_t> once;
      list_.sweep([&](uint16_t port) {
        EXPECT_TRUE(once.insert(port).second) << port << " asked twice in a sweep";
        ++asked[port];
        return busy.contains(port);
      });
    }
    return asked;
  }

  std::vector<uint16_t> ports_ = std::vector<uint16_t>(110);
  std::array<uint16_t, 256> hot_{};
  std::array<uint16_t, 256> cold_{};
  std::array<uint8_t, 256> empty_{};
  PollList list_{hot_.data(), cold_.data(), empty_.data()};
};

TEST_F(PollListTest, AsksEveryPortAtFirst) {
  const auto asked = sweep(1);
  EXPECT_EQ(asked.size(), 110U);
}

TEST_F(PollListTest, AsksIdlePortsInTurnAndBusyOnesAlways) {
  sweep(PollList::kIdleSweeps, {7});
  EXPECT_EQ(list_.hot(), 1U);
  const auto asked = sweep(PollList::kColdSweeps, {7});
  EXPECT_EQ(asked.size(), 110U) << "a port was left out for too long";
  EXPECT_EQ(asked.at(7), PollList::kColdSweeps);
  unsigned total = 0;
  for (const auto& [port, times] : asked) total += times;
  EXPECT_LE(total, PollList::kColdSweeps * (1U + 7U));
}

TEST_F(PollListTest, APortThatWakesIsHotAgain) {
  sweep(PollList::kIdleSweeps);
  EXPECT_EQ(list_.hot(), 0U);
  sweep(PollList::kColdSweeps, {3, 50, 109});
  EXPECT_EQ(list_.hot(), 3U);
  EXPECT_EQ(sweep(5, {3, 50, 109}).at(50), 5U);
}

TEST_F(PollListTest, AllPortsMayWakeAtOnce) {
  sweep(PollList::kIdleSweeps);
  const std::set<uint16_t> all(ports_.begin(), ports_.end());
  sweep(PollList::kColdSweeps, all);
  EXPECT_EQ(list_.hot(), 110U);
}

TEST_F(PollListTest, ResetForgets) {
  sweep(PollList::kIdleSweeps);
  list_.reset(std::array<uint16_t, 2>{4, 200});
  const auto asked = sweep(1);
  EXPECT_EQ(asked.size(), 2U);
  EXPECT_TRUE(asked.contains(200));
}

}  // namespace
}  // namespace weir::dataplane
