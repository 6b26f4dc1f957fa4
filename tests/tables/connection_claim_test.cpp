// Two workers add the same tuple: every order of their steps.
#include "dataplane/tables/connection_claim.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>

#include "tests/tables/connection_fixture.h"

namespace weir::dataplane {
namespace {

constexpr FlowSeed kSeed{};

// One worker's addition, a step at a time: claim, look for rivals, settle or give up.
class Addition {
 public:
  Addition(ConnectionIndex& index, ConnectionRecords& records, uint32_t number)
      : record_(records[number]), claim_(index, records, number, kSeed) {}

  void step() {
    switch (steps_++) {
      case 0: alone_ = claim_.publish(); break;
      case 1: alone_ = alone_ && claim_.is_alone(); break;
      case 2:
        if (!alone_ || !claim_.settle()) claim_.abandon();
        break;
      default: break;
    }
  }
  bool is_live() const { return !record_.dead(); }

 private:
  Connection& record_;
  ConnectionClaim claim_;
  unsigned steps_ = 0;
  bool alone_ = false;
};

enum class Shared { forward, reverse };

class ConnectionClaimTest : public testing::TestWithParam<Shared> {
 protected:
  static void fill(Connection& record, const FlowKey& key, uint32_t backend, unsigned port) {
    record.keys = {key, udp_key(backend, 80, kMasquerade, port)};
    record.state.store(Connection::kTentative);
  }
  // Records 1 and 2 with one tuple in common.
  static void fill_both(ConnectionRecords& records, Shared shared) {
    const bool forward = shared == Shared::forward;
    fill(records[1], udp_key(kClient, 1, kVip, 53), kBackend, 100);
    fill(records[2], udp_key(kClient, forward ? 1 : 2, kVip, 53), kBackend, forward ? 200 : 100);
  }
};

TEST_P(ConnectionClaimTest, OneIsLiveInEveryOrderOfTwoWorkersSteps) {
  std::string order = "111222";
  do {
    ConnectionIndex index(64, -1);
    ConnectionRecords records(64, 1, -1);
    fill_both(records, GetParam());
    Addition first(index, records, 1);
    Addition second(index, records, 2);
    for (const char worker : order) (worker == '1' ? first : second).step();
    EXPECT_EQ(first.is_live() + second.is_live(), 1) << "order " << order;
  } while (std::ranges::next_permutation(order).found);
}

TEST_P(ConnectionClaimTest, ASettledConnectionStaysWhoeverComes) {
  for (const uint32_t settled : {1U, 2U}) {
    ConnectionIndex index(64, -1);
    ConnectionRecords records(64, 1, -1);
    fill_both(records, GetParam());
    Addition early(index, records, settled);
    Addition late(index, records, 3 - settled);
    for (int step = 0; step < 3; ++step) early.step();
    for (int step = 0; step < 3; ++step) late.step();
    EXPECT_TRUE(early.is_live());
    EXPECT_FALSE(late.is_live());
  }
}

INSTANTIATE_TEST_SUITE_P(Tuples, ConnectionClaimTest,
                         testing::Values(Shared::forward, Shared::reverse), [](const auto& suite) {
                           return suite.param == Shared::forward ? "Forward" : "Reverse";
                         });

}  // namespace
}  // namespace weir::dataplane
