// Routes with several next hops, as neighbours on an uplink come and go.
#include <gtest/gtest.h>

#include <set>

#include "dataplane/tables/route_table.h"

namespace weir::dataplane {
namespace {

constexpr uint64_t kUplink = 9;
constexpr char kPods[] = "10.244.0.0/16";

IpAddress hop_address(int number) { return *parse_address("192.0.2." + std::to_string(number)); }

api::Route route(std::vector<int> hops, const char* to = kPods) {
  api::Route route{.prefix = *parse_prefix(to), .kind = api::RouteKind::multipath};
  for (const int hop : hops) route.next_hops[route.next_hop_count++] = {.gateway = hop_address(hop), .weight = 1};
  return route;
}

class MultipathRoutesTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(routes_.port_set(1, {.key = kUplink, .kind = api::PortKind::uplink}));
    ASSERT_TRUE(routes_.connect(kUplink, {*parse_prefix("192.0.2.0/24")}));
    for (int hop = 2; hop <= 5; ++hop) answers(hop);
  }
  void neighbor(int hop, AdjacencyKind kind) {
    Adjacency adjacency{.kind = kind, .port = 1};
    adjacency.mac.bytes[5] = static_cast<uint8_t>(hop);
    ASSERT_TRUE(routes_.neighbor_set(hop_address(hop), adjacency));
  }
  void answers(int hop) { neighbor(hop, AdjacencyKind::port); }
  void fails(int hop) { neighbor(hop, AdjacencyKind::unresolved); }

  Adjacency found(const char* to) const {
    const IpAddress address = *parse_address(to);
    Fib4::Key key;
    std::copy_n(address.bytes.begin(), key.size(), key.begin());
    return Adjacency::unpack(adjacencies_.load(fib4_.lookup(key)));
  }
  // What workers do with flows of every hash: the next hop of each.
  std::vector<int> flows(const char* to = "10.244.7.7") const {
    const Adjacency adjacency = found(to);
    EXPECT_EQ(adjacency.kind, AdjacencyKind::multipath);
    std::vector<int> hops;
    for (uint64_t hash = 0; hash <= UINT32_MAX; hash += 1 << 20) {
      const auto chosen = Adjacency::unpack(adjacencies_.choose(adjacency.under, static_cast<uint32_t>(hash)));
      hops.push_back(chosen.kind == AdjacencyKind::port ? chosen.mac.bytes[5] : -static_cast<int>(chosen.kind));
    }
    return hops;
  }
  std::set<int> hops() const {
    const std::vector<int> all = flows();
    return {all.begin(), all.end()};
  }

  Rcu rcu_{1};
  Adjacencies adjacencies_{rcu_, 64};
  Fib4 fib4_{rcu_};
  Fib6 fib6_{rcu_};
  RouteTable routes_{fib4_, fib6_, adjacencies_};
};

TEST_F(MultipathRoutesTest, FlowsSpreadOverAllNextHops) {
  ASSERT_TRUE(routes_.set(route({2, 3, 4, 5})));
  EXPECT_EQ(hops(), (std::set{2, 3, 4, 5}));
}

TEST_F(MultipathRoutesTest, OneThatFailsMovesItsFlowsAloneAndGetsThemBack) {
  ASSERT_TRUE(routes_.set(route({2, 3, 4})));
  const std::vector<int> before = flows();
  fails(3);
  const std::vector<int> without = flows();
  for (size_t i = 0; i < before.size(); ++i) {
    if (before[i] != 3) {
      ASSERT_EQ(without[i], before[i]);
    }
  }
  EXPECT_EQ(hops(), (std::set{2, 4}));
  answers(3);
  EXPECT_EQ(flows(), before);
}

TEST_F(MultipathRoutesTest, AnotherSetKeepsTheFlowsOfThoseThatStay) {
  ASSERT_TRUE(routes_.set(route({2, 3, 4})));
  const std::vector<int> before = flows();
  ASSERT_TRUE(routes_.set(route({4, 2})));
  const std::vector<int> after = flows();
  for (size_t i = 0; i < before.size(); ++i) {
    if (before[i] != 3) {
      ASSERT_EQ(after[i], before[i]);
    }
  }
}

TEST_F(MultipathRoutesTest, OneThatIsAskedForWaitsUntilItAnswers) {
  ASSERT_TRUE(routes_.set(route({2, 3})));
  neighbor(3, AdjacencyKind::resolve);
  EXPECT_EQ(hops(), std::set{2});
}

TEST_F(MultipathRoutesTest, WithoutAnyNextHopSendersAreTold) {
  ASSERT_TRUE(routes_.set(route({2, 3})));
  fails(2);
  fails(3);
  EXPECT_EQ(hops(), std::set{-static_cast<int>(AdjacencyKind::unresolved)});
  EXPECT_TRUE(routes_.lookup(*parse_address("10.244.7.7"))->flags & api::kRouteUnresolved);
}

TEST_F(MultipathRoutesTest, NextHopsAreGatewaysToLookFor) {
  ASSERT_TRUE(routes_.set(route({20, 21})));
  const std::vector<IpAddress> gateways = routes_.gateways();
  EXPECT_EQ(std::set(gateways.begin(), gateways.end()), (std::set{hop_address(20), hop_address(21)}));
}

TEST_F(MultipathRoutesTest, NothingRemainsOfTheLastRoute) {
  const uint32_t before = adjacencies_.in_use();
  ASSERT_TRUE(routes_.set(route({2, 3})));
  ASSERT_TRUE(routes_.set(route({3, 2}, "10.245.0.0/16")));
  EXPECT_EQ(adjacencies_.in_use(), before + 1) << "the same set is one adjacency";
  ASSERT_TRUE(routes_.erase(*parse_prefix(kPods)));
  ASSERT_TRUE(routes_.erase(*parse_prefix("10.245.0.0/16")));
  EXPECT_EQ(adjacencies_.in_use(), before);
  fails(2);  // and nobody's buckets are written
}

TEST_F(MultipathRoutesTest, IsReportedWithWhoIsNotThere) {
  api::Route weighted = route({2, 3});
  weighted.next_hops[1].weight = 7;
  ASSERT_TRUE(routes_.set(weighted));
  fails(2);
  const api::Route reported = *routes_.lookup(*parse_address("10.244.7.7"));
  EXPECT_EQ(reported.kind, api::RouteKind::multipath);
  ASSERT_EQ(reported.next_hop_count, 2);
  EXPECT_EQ(reported.next_hops[0].unresolved, 1);
  EXPECT_EQ(reported.next_hops[1].unresolved, 0);
  EXPECT_EQ(reported.next_hops[1].weight, 7);
}

TEST_F(MultipathRoutesTest, BadSetsAreRefused) {
  api::Route heavy = route({2, 3});
  heavy.next_hops[0].weight = 257;
  for (const api::Route& bad : {route({2}), route({2, 2}), heavy}) {
    EXPECT_EQ(routes_.set(bad).error().code, ErrorCode::invalid_argument);
  }
  api::Route many = route({2, 3});
  many.next_hop_count = api::kMaxNextHops + 1;
  EXPECT_EQ(routes_.set(many).error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace weir::dataplane
