// The IPAM against a plain model that walks the range address by address, through
// adds, requests, removals, restarts, rollbacks and time, from fixed seeds.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "tests/control/ipam_fixture.h"

namespace weir::control {
namespace {

constexpr uint32_t kBase = 0x0a000000;  // 10.0.0.0/28: .1 gateway, .2 to .14
constexpr uint32_t kFirst = 1;
constexpr uint32_t kLast = 14;
constexpr uint32_t kGateway = 1;
constexpr UnixMillis kRest = 1000;

struct Model {
  std::map<uint32_t, uint64_t> taken;
  std::map<uint32_t, UnixMillis> resting;
  uint32_t last = 0;

  void end_rests(UnixMillis now) {
    std::erase_if(resting, [&](const auto& rest) { return rest.second <= now - kRest; });
  }
  std::optional<uint32_t> choose() const {
    for (uint32_t i = 1; i <= kLast; ++i) {
      const uint32_t n = last == 0 ? i : (last - kFirst + i) % kLast + kFirst;
      if (n != kGateway && !taken.contains(n) && !resting.contains(n)) return n;
    }
    std::optional<uint32_t> best;
    for (const auto& [n, since] : resting) {
      if (!best || since < resting.at(*best)) best = n;
    }
    return best;
  }
  void take(uint32_t n, uint64_t id) {
    resting.erase(n);
    taken[n] = id;
    last = n;
  }
};

class IpamModelTest : public IpamTest, public testing::WithParamInterface<uint32_t> {
 protected:
  void add_one() {
    const uint64_t id = attach("c" + std::to_string(++containers_));
    Model next = model_;
    next.end_rests(now_);
    std::optional<uint32_t> expected = next.choose();
    std::vector<std::string> requested;
    if (draw(4) == 0) {
      const uint32_t wish = draw(16);
      requested.push_back(to_string(ip4_address(kBase + wish)));
      const bool possible = wish > kGateway && wish <= kLast && !next.taken.contains(wish);
      expected = possible ? std::optional<uint32_t>(wish) : std::nullopt;
    }
    const std::string got = allocate(id, sets_, requested);
    if (!expected) {
      ASSERT_EQ(got.substr(0, 6), "error ") << got;
      ASSERT_TRUE(ipam_->remove(id));
      return;
    }
    ASSERT_EQ(got, to_string(ip4_address(kBase + *expected)));
    next.take(*expected, id);
    model_ = next;
  }

  void remove_one() {
    if (model_.taken.empty()) return;
    auto victim =
        std::next(model_.taken.begin(), static_cast<long>(random_() % model_.taken.size()));
    ASSERT_TRUE(ipam_->remove(victim->second));
    model_.resting[victim->first] = now_;
    model_.taken.erase(victim);
  }

  void add_and_roll_back() {
    const Model before = model_;
    {
      auto transaction = store_->begin();
      ASSERT_TRUE(transaction);
      add_one();
      remove_one();
    }
    model_ = before;
  }

  void compare() {
    const auto leases = store_->leases();
    ASSERT_TRUE(leases);
    std::map<uint32_t, uint64_t> stored;
    for (const Lease& lease : *leases) {
      if (lease.attachment != 0) stored[lease.address.bytes[3]] = lease.attachment;
    }
    ASSERT_EQ(stored, model_.taken);
    ASSERT_EQ(ipam_->usage(sets_[0])->taken, model_.taken.size());
  }

  uint32_t draw(uint32_t below) { return static_cast<uint32_t>(random_() % below); }

  std::mt19937 random_{GetParam()};
  Model model_;
  int containers_ = 0;
  const RangeSets sets_ = ranges_of({"10.0.0.0/28"});
};

TEST_P(IpamModelTest, AgreesAtEveryStep) {
  for (int step = 0; step < 400; ++step) {
    SCOPED_TRACE("step " + std::to_string(step));
    const uint32_t dice = draw(100);
    if (dice < 50) {
      add_one();
    } else if (dice < 85) {
      remove_one();
    } else if (dice < 93) {
      add_and_roll_back();
    } else {
      reopen();
    }
    now_ += UnixMillis{draw(200)};
    compare();
    if (HasFatalFailure()) return;
  }
}
INSTANTIATE_TEST_SUITE_P(Seeds, IpamModelTest, testing::Values(1U, 2U, 3U, 20240607U));

}  // namespace
}  // namespace weir::control
