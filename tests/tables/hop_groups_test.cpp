// How flows spread over next hops, and which move when the set changes.
#include "dataplane/tables/hop_groups.h"

#include <gtest/gtest.h>

#include <array>
#include <map>

namespace weir::dataplane {
namespace {

using Member = HopGroups::Member;

Member member(uint8_t number, uint32_t weight = 1) {
  return {.address = {.family = Family::ip4, .bytes = {192, 0, 2, number}}, .adjacency = number, .weight = weight};
}

class HopGroupsTest : public testing::Test {
 protected:
  // The next hop of each bucket.
  std::vector<uint32_t> buckets(const std::vector<Member>& members) {
    groups_.assign(group_, members);
    std::vector<uint32_t> all(HopGroups::kBuckets);
    for (uint32_t i = 0; i < all.size(); ++i) all[i] = groups_.choose(group_, i << (32 - HopGroups::kLog2Buckets));
    return all;
  }
  static std::map<uint32_t, double> shares(const std::vector<uint32_t>& buckets) {
    std::map<uint32_t, double> shares;
    for (const uint32_t bucket : buckets) shares[bucket] += 1.0 / HopGroups::kBuckets;
    return shares;
  }

  Rcu rcu_{1};
  HopGroups groups_{rcu_};
  uint32_t group_ = *groups_.allocate(std::array{member(1)});
};

TEST_F(HopGroupsTest, EqualNextHopsShareEqually) {
  for (const uint8_t count : std::array<uint8_t, 3>{2, 4, 8}) {
    std::vector<Member> members;
    for (uint8_t i = 1; i <= count; ++i) members.push_back(member(i));
    for (const auto& [hop, share] : shares(buckets(members))) {
      EXPECT_NEAR(share * count, 1.0, 0.2) << "next hop " << hop << " of " << int{count};
    }
  }
}

TEST_F(HopGroupsTest, SharesAreAsTheWeights) {
  const auto share = shares(buckets({member(1, 1), member(2, 2), member(3, 5)}));
  EXPECT_NEAR(share.at(1), 1 / 8.0, 0.03);
  EXPECT_NEAR(share.at(2), 2 / 8.0, 0.04);
  EXPECT_NEAR(share.at(3), 5 / 8.0, 0.05);
}

TEST_F(HopGroupsTest, OneThatLeavesMovesItsOwnFlowsAlone) {
  const auto before = buckets({member(1), member(2), member(3), member(4)});
  const auto after = buckets({member(1), member(2), member(4)});
  for (size_t i = 0; i < before.size(); ++i) {
    if (before[i] != 3) {
      ASSERT_EQ(after[i], before[i]) << "bucket " << i;
    }
  }
  EXPECT_FALSE(shares(after).contains(3));
}

TEST_F(HopGroupsTest, OneThatComesBackGetsJustTheseFlows) {
  const auto before = buckets({member(1), member(2), member(3)});
  buckets({member(1), member(3)});
  EXPECT_EQ(buckets({member(3), member(2), member(1)}), before) << "in whatever order";
}

TEST_F(HopGroupsTest, AHigherWeightTakesFlowsAndGivesNone) {
  const auto before = buckets({member(1), member(2), member(3)});
  const auto after = buckets({member(1), member(2, 2), member(3)});
  for (size_t i = 0; i < before.size(); ++i) {
    if (after[i] != before[i]) {
      ASSERT_EQ(after[i], 2U) << "bucket " << i;
    }
  }
}

TEST_F(HopGroupsTest, AReleasedGroupWaitsForAGracePeriod) {
  rcu_.register_worker(0);
  rcu_.online(0);
  groups_.release(group_);
  rcu_.reclaim();
  EXPECT_NE(*groups_.allocate(std::array{member(1)}), group_) << "worker 0 may still use it";
  rcu_.quiescent(0);
  rcu_.reclaim();
  EXPECT_EQ(*groups_.allocate(std::array{member(1)}), group_);
  rcu_.offline(0);
  rcu_.unregister_worker(0);
}

}  // namespace
}  // namespace weir::dataplane
