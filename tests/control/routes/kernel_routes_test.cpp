#include "control/routes/kernel_routes.h"

#include <gtest/gtest.h>
#include <linux/rtnetlink.h>

namespace weir::control {
namespace {

constexpr char kPods[] = "10.244.2.0/24";

IpPrefix prefix(const char* text) { return *parse_prefix(text); }

config::NetworkConfig network() {
  config::NetworkConfig network;
  network.uplinks.push_back(
      {.name = "u", .addresses = {{*parse_address("192.0.2.1"), 24}, {*parse_address("2001:db8::1"), 64}}});
  network.kernel_routes = {.table = 254, .protocols = {RTPROT_BIRD}};
  return network;
}

KernelRoute route(const char* gateway = "192.0.2.2", uint32_t priority = 32, const char* to = kPods) {
  return {.prefix = prefix(to), .table = 254, .priority = priority, .protocol = RTPROT_BIRD,
          .hops = {{.gateway = *parse_address(gateway)}}};
}

class KernelRoutesTest : public testing::Test {
 protected:
  std::string via(const char* to = kPods) const {
    const auto found = routes_.find(prefix(to));
    return found ? weir::to_string(found->gateway) : "none";
  }
  size_t ignored(KernelRoutes::Ignored reason) const { return routes_.ignored()[static_cast<size_t>(reason)]; }

  KernelRoutes routes_{network()};
};

TEST_F(KernelRoutesTest, TakesRoutesOfItsProtocolsAndTable) {
  routes_.set(route());
  KernelRoute other = route("192.0.2.2", 32, "10.1.0.0/16");
  other.protocol = RTPROT_STATIC;
  routes_.set(other);
  other = route("192.0.2.2", 32, "10.2.0.0/16");
  other.table = 100;
  routes_.set(other);
  EXPECT_EQ(via(), "192.0.2.2");
  EXPECT_EQ(routes_.size(), 1U);
  EXPECT_EQ(routes_.take_changed(9), std::vector{prefix(kPods)});
}

TEST_F(KernelRoutesTest, TheSmallestPriorityWins) {
  routes_.set(route("192.0.2.2", 32));
  routes_.set(route("192.0.2.3", 10));
  EXPECT_EQ(via(), "192.0.2.3");
  EXPECT_EQ(routes_.all().size(), 1U);
  EXPECT_TRUE(routes_.remove(route("192.0.2.3", 10)));
  EXPECT_EQ(via(), "192.0.2.2");
}

TEST_F(KernelRoutesTest, ARouteReplacedByAnothersIsGone) {
  routes_.set(route());
  KernelRoute other = route();
  other.protocol = RTPROT_STATIC;
  routes_.set(other);
  EXPECT_EQ(via(), "none");
}

TEST_F(KernelRoutesTest, WhatCannotBeUsedIsCounted) {
  routes_.set(route("198.51.100.1", 1));
  KernelRoute local = route("192.0.2.2", 2, "10.1.0.0/16");
  local.kind = KernelRouteKind::other;
  routes_.set(local);
  KernelRoute tos = route("192.0.2.2", 3, "10.2.0.0/16");
  tos.tos = 16;
  routes_.set(tos);
  EXPECT_EQ(ignored(KernelRoutes::Ignored::no_uplink), 1U);
  EXPECT_EQ(ignored(KernelRoutes::Ignored::kind), 1U);
  EXPECT_EQ(ignored(KernelRoutes::Ignored::tos), 1U);
  EXPECT_TRUE(routes_.all().empty());
}

TEST_F(KernelRoutesTest, BlackholesAreTaken) {
  KernelRoute hole = route();
  hole.kind = KernelRouteKind::blackhole;
  hole.hops.clear();
  routes_.set(hole);
  EXPECT_EQ(routes_.find(prefix(kPods))->kind, api::RouteKind::blackhole);
}

TEST_F(KernelRoutesTest, ADumpSweepsWhatItDoesNotName) {
  routes_.set(route());
  routes_.set(route("192.0.2.2", 32, "10.1.0.0/16"));
  routes_.take_changed(9);
  EXPECT_FALSE(routes_.complete());
  routes_.begin_dump();
  routes_.set(route());
  routes_.end_dump();
  EXPECT_TRUE(routes_.complete());
  EXPECT_EQ(via("10.1.0.0/16"), "none");
  EXPECT_EQ(routes_.take_changed(9), std::vector{prefix("10.1.0.0/16")}) << "what stayed did not change";
}

TEST_F(KernelRoutesTest, HalfARouteThatGoesAsksForADump) {
  KernelRoute two = route("2001:db8::2", 32, "fd00::/64");
  two.hops.push_back({.gateway = *parse_address("2001:db8::3")});
  routes_.set(two);
  EXPECT_FALSE(routes_.remove(route("2001:db8::2", 32, "fd00::/64")));
}

TEST_F(KernelRoutesTest, ChangesComeInBatches) {
  for (const char* to : {"10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"}) routes_.set(route("192.0.2.2", 32, to));
  EXPECT_EQ(routes_.take_changed(2).size(), 2U);
  EXPECT_EQ(routes_.take_changed(2).size(), 1U);
  EXPECT_FALSE(routes_.changed());
}

TEST(KernelRoutes, IsOffWithoutProtocols) {
  const KernelRoutes routes{config::NetworkConfig{}};
  EXPECT_FALSE(routes.enabled());
  EXPECT_TRUE(routes.complete());
}

}  // namespace
}  // namespace weir::control
