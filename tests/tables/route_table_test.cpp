// Routes against ports that come, change and go.
#include "dataplane/tables/route_table.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace weir::dataplane {
namespace {

IpAddress addr(const char* text) { return parse_address(text).value(); }
IpPrefix prefix(const std::string& text) { return parse_prefix(text).value(); }

api::Route port_route(const char* to, uint64_t key) {
  return {.prefix = prefix(to), .kind = api::RouteKind::port, .port_key = key};
}
api::Route gateway_route(const char* to, const char* gateway) {
  return {.prefix = prefix(to), .kind = api::RouteKind::gateway, .gateway = addr(gateway)};
}
api::Route plain_route(const char* to, api::RouteKind kind) {
  return {.prefix = prefix(to), .kind = kind};
}

api::PortConfig port(uint64_t key, std::initializer_list<const char*> leases) {
  api::PortConfig config;
  config.key = key;
  config.mac.bytes = {2, 0, 0, 0, 0, static_cast<uint8_t>(key)};
  config.gateway4 = addr("10.0.0.1");
  config.gateway6 = addr("fd00::1");
  for (const char* lease : leases) config.addresses[config.address_count++] = addr(lease);
  return config;
}

class RouteTableTest : public testing::Test {
 protected:
  // What a worker would do with a packet to `to`.
  Adjacency forward(const char* to) const {
    const IpAddress address = addr(to);
    uint32_t index = 0;
    if (address.is_ip4()) {
      Fib4::Key key;
      std::copy_n(address.bytes.begin(), 4, key.begin());
      index = fib4_.lookup(key);
    } else {
      index = fib6_.lookup(address.bytes);
    }
    return Adjacency::unpack(adjacencies_.load(index));
  }
  std::string where(const char* to) const { return where(forward(to)); }
  std::string where(const Adjacency& adjacency) const {
    switch (adjacency.kind) {
      case AdjacencyKind::none: return "none";
      case AdjacencyKind::port:
        return "port " + std::to_string(adjacency.port) + " mac " +
               std::to_string(adjacency.mac.bytes[5]);
      case AdjacencyKind::blackhole: return "blackhole";
      case AdjacencyKind::unreachable: return "unreachable";
      case AdjacencyKind::unresolved: return "unresolved";
      case AdjacencyKind::local: return "local";
      case AdjacencyKind::resolve: return "resolve " + std::to_string(adjacency.under);
      case AdjacencyKind::multipath: return "multipath";
      case AdjacencyKind::service: return "service over " + where(Adjacency::unpack(adjacencies_.load(adjacency.under)));
    }
    return "?";
  }
  std::map<uint32_t, uint64_t> words() const {
    std::map<uint32_t, uint64_t> all;
    for (uint32_t i = 0; i < kAdjacencies; ++i) all[i] = adjacencies_.load(i);
    return all;
  }
  uint32_t flags(const char* to) const { return routes_.lookup(addr(to)).value().flags; }

  static constexpr uint32_t kAdjacencies = 16;
  Rcu rcu_{1};
  Adjacencies adjacencies_{rcu_, kAdjacencies};
  Fib4 fib4_{rcu_};
  Fib6 fib6_{rcu_};
  RouteTable routes_{fib4_, fib6_, adjacencies_};
};

TEST_F(RouteTableTest, APortsLeaseAndGatewayAreRouted) {
  ASSERT_TRUE(routes_.port_set(7, port(1, {"10.0.0.5", "fd00::5"})));
  EXPECT_EQ(where("10.0.0.5"), "port 7 mac 1");
  EXPECT_EQ(where("fd00::5"), "port 7 mac 1");
  EXPECT_EQ(where("10.0.0.1"), "local");
  EXPECT_EQ(where("fd00::1"), "local");
  EXPECT_EQ(where("10.0.0.6"), "none");
  EXPECT_EQ(routes_.lookup(addr("10.0.0.5"))->kind, api::RouteKind::port);
  EXPECT_EQ(routes_.lookup(addr("10.0.0.1"))->kind, api::RouteKind::local);
  EXPECT_EQ(flags("10.0.0.5"), api::kRouteLease);
  EXPECT_EQ(routes_.size(), 4U);
  EXPECT_EQ(adjacencies_.in_use(), 2U);
}

TEST_F(RouteTableTest, NothingRemainsOfARemovedPort) {
  ASSERT_TRUE(routes_.port_set(7, port(1, {"10.0.0.5", "fd00::5"})));
  routes_.port_removed(1);
  routes_.port_removed(1);
  EXPECT_EQ(where("10.0.0.5"), "none");
  EXPECT_EQ(where("10.0.0.1"), "none");
  EXPECT_EQ(routes_.size(), 0U);
  EXPECT_EQ(adjacencies_.in_use(), 0U);
  EXPECT_EQ(fib4_.size() + fib6_.size(), 0U);
}

TEST_F(RouteTableTest, AGatewayStaysLocalUntilItsLastPortGoes) {
  ASSERT_TRUE(routes_.port_set(7, port(1, {"10.0.0.5"})));
  ASSERT_TRUE(routes_.port_set(8, port(2, {"10.0.0.6"})));
  ASSERT_TRUE(routes_.port_set(8, port(2, {"10.0.0.6"})));
  routes_.port_removed(1);
  EXPECT_EQ(where("10.0.0.1"), "local");
  routes_.port_removed(2);
  EXPECT_EQ(where("10.0.0.1"), "none");
}

TEST_F(RouteTableTest, AMovedPortIsOneStoreForAllItsRoutes) {
  ASSERT_TRUE(routes_.port_set(7, port(1, {"10.0.0.5", "fd00::5"})));
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(routes_.set(port_route(("20.0." + std::to_string(i) + ".0/24").c_str(), 1)));
  }
  const auto before = words();
  ASSERT_TRUE(routes_.port_set(9, port(1, {"10.0.0.5", "fd00::5"})));
  size_t changed = 0;
  for (const auto& [index, word] : words()) changed += word != before.at(index) ? 1 : 0;
  EXPECT_EQ(changed, 1U);
  EXPECT_EQ(where("10.0.0.5"), "port 9 mac 1");
  EXPECT_EQ(where("20.0.77.1"), "port 9 mac 1");
}

TEST_F(RouteTableTest, RoutesOfAGatewayShareOneAdjacencyAndMoveTogether) {
  ASSERT_TRUE(routes_.port_set(7, port(1, {"10.0.0.5"})));
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(
        routes_.set(gateway_route(("20.0." + std::to_string(i) + ".0/24").c_str(), "10.0.0.5")));
  }
  EXPECT_EQ(adjacencies_.in_use(), 3U);
  EXPECT_EQ(where("20.0.3.9"), "port 7 mac 1");
  EXPECT_EQ(routes_.lookup(addr("20.0.3.9"))->port_key, 1U);
  routes_.port_removed(1);
  EXPECT_EQ(where("20.0.3.9"), "unresolved");
  const auto before = words();
  ASSERT_TRUE(routes_.port_set(4, port(2, {"10.0.0.5"})));
  EXPECT_EQ(where("20.0.199.9"), "port 4 mac 2");
  size_t changed = 0;
  for (const auto& [index, word] : words()) changed += word != before.at(index) ? 1 : 0;
  EXPECT_LE(changed, 3U);  // the gateway's, the port's own and the local one: not 200
}

TEST_F(RouteTableTest, ARouteToAnAbsentPortWaitsForIt) {
  ASSERT_TRUE(routes_.set(port_route("0.0.0.0/0", 5)));
  ASSERT_TRUE(routes_.set(gateway_route("fd01::/64", "fd00::9")));
  EXPECT_EQ(where("8.8.8.8"), "unresolved");
  EXPECT_EQ(where("fd01::1"), "unresolved");
  EXPECT_EQ(flags("8.8.8.8"), api::kRouteUnresolved);
  ASSERT_TRUE(routes_.port_set(3, port(5, {"10.0.0.9", "fd00::9"})));
  EXPECT_EQ(where("8.8.8.8"), "port 3 mac 5");
  EXPECT_EQ(where("fd01::1"), "port 3 mac 5");
  EXPECT_EQ(flags("8.8.8.8"), 0U);
  ASSERT_TRUE(routes_.port_set(3, port(5, {"10.0.0.9", "fd00::a"})));  // the lease moves away
  EXPECT_EQ(where("fd01::1"), "unresolved");
  EXPECT_EQ(where("fd00::9"), "none");
  EXPECT_EQ(where("fd00::a"), "port 3 mac 5");
}

TEST_F(RouteTableTest, APrefixThatBelongsToAPortIsRefused) {
  ASSERT_TRUE(routes_.port_set(7, port(1, {"10.0.0.5"})));
  EXPECT_EQ(routes_.set(port_route("10.0.0.5/32", 2)).error().code, ErrorCode::exists);
  EXPECT_EQ(routes_.set(plain_route("fd00::1/128", api::RouteKind::blackhole)).error().code,
            ErrorCode::exists);
  EXPECT_EQ(where("10.0.0.5"), "port 7 mac 1");
  EXPECT_TRUE(routes_.erase(prefix("10.0.0.5/32")));  // nothing explicit is there
  EXPECT_EQ(where("10.0.0.5"), "port 7 mac 1");
}

TEST_F(RouteTableTest, APortWhoseAddressIsTakenIsRefusedWhole) {
  ASSERT_TRUE(routes_.port_set(7, port(1, {"10.0.0.5"})));
  ASSERT_TRUE(routes_.set(plain_route("10.0.0.8/32", api::RouteKind::blackhole)));
  EXPECT_EQ(routes_.port_set(8, port(2, {"10.0.0.6", "10.0.0.5"})).error().code, ErrorCode::exists);
  EXPECT_EQ(routes_.port_set(8, port(2, {"10.0.0.6", "10.0.0.8"})).error().code, ErrorCode::exists);
  EXPECT_EQ(routes_.port_set(8, port(2, {"10.0.0.6", "10.0.0.1"})).error().code,
            ErrorCode::invalid_argument);
  EXPECT_EQ(where("10.0.0.6"), "none");
  EXPECT_EQ(where("10.0.0.5"), "port 7 mac 1");
  EXPECT_EQ(routes_.size(), 4U);
}

TEST_F(RouteTableTest, APortThatDoesNotFitChangesNothing) {
  for (uint64_t key = 1; key <= kAdjacencies - 3; ++key) {
    ASSERT_TRUE(
        routes_.set(port_route(("30.0." + std::to_string(key) + ".0/24").c_str(), 100 + key)));
  }
  ASSERT_TRUE(routes_.set(plain_route("30.0.0.0/8", api::RouteKind::blackhole)));
  const size_t size = routes_.size();
  // One adjacency is left and the port needs two.
  EXPECT_EQ(routes_.port_set(8, port(2, {"10.0.0.6"})).error().code, ErrorCode::limit);
  EXPECT_EQ(routes_.size(), size);
  EXPECT_EQ(where("10.0.0.6"), "none");
  EXPECT_EQ(fib4_.size(), size);
  rcu_.reclaim();
  EXPECT_TRUE(routes_.set(port_route("31.0.0.0/8", 1)));
}

TEST_F(RouteTableTest, ReplacingARouteReleasesItsOldNextHop) {
  ASSERT_TRUE(routes_.set(plain_route("1.0.0.0/8", api::RouteKind::blackhole)));
  ASSERT_TRUE(routes_.set(plain_route("1.0.0.0/8", api::RouteKind::unreachable)));
  EXPECT_EQ(where("1.2.3.4"), "unreachable");
  EXPECT_EQ(adjacencies_.in_use(), 1U);
  ASSERT_TRUE(routes_.erase(prefix("1.0.0.0/8")));
  ASSERT_TRUE(routes_.erase(prefix("1.0.0.0/8")));
  EXPECT_EQ(where("1.2.3.4"), "none");
  EXPECT_EQ(adjacencies_.in_use(), 0U);
}

TEST_F(RouteTableTest, SweepRemovesWhatTheReplayDidNotName) {
  routes_.begin_generation(1);
  ASSERT_TRUE(routes_.port_set(7, port(1, {"10.0.0.5"})));
  ASSERT_TRUE(routes_.set(port_route("1.0.0.0/8", 1)));
  ASSERT_TRUE(routes_.set(port_route("2.0.0.0/8", 1)));
  routes_.begin_generation(2);
  ASSERT_TRUE(routes_.set(port_route("2.0.0.0/8", 1)));
  ASSERT_TRUE(routes_.set(port_route("fd05::/16", 1)));
  EXPECT_EQ(routes_.sweep(2), 1U);
  EXPECT_EQ(where("1.0.0.1"), "none");
  EXPECT_EQ(where("2.0.0.1"), "port 7 mac 1");
  EXPECT_EQ(where("10.0.0.5"), "port 7 mac 1");
  EXPECT_EQ(routes_.sweep(2), 0U);
}

TEST_F(RouteTableTest, BadRoutesAreRefusedWithASentence) {
  api::Route host_bits = port_route("1.0.0.0/8", 1);
  host_bits.prefix.address.bytes[3] = 1;
  api::Route too_long = port_route("1.0.0.0/8", 1);
  too_long.prefix.length = 33;
  api::Route no_family = port_route("1.0.0.0/8", 1);
  no_family.prefix.address.family = static_cast<Family>(9);
  api::Route no_gateway = gateway_route("1.0.0.0/8", "10.0.0.1");
  no_gateway.gateway = {};
  for (const api::Route& route :
       {host_bits, too_long, no_family, no_gateway, port_route("1.0.0.0/8", 0),
        gateway_route("1.0.0.0/8", "224.0.0.1"), plain_route("1.0.0.0/8", api::RouteKind::none),
        plain_route("1.0.0.0/8", api::RouteKind::local),
        plain_route("1.0.0.0/8", static_cast<api::RouteKind>(77))}) {
    const Status status = routes_.set(route);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, ErrorCode::invalid_argument);
    EXPECT_FALSE(status.error().text.empty());
  }
  EXPECT_EQ(routes_.size(), 0U);
  EXPECT_EQ(adjacencies_.in_use(), 0U);
}

TEST_F(RouteTableTest, AnAddressOfServicesIsRoutedToThem) {
  ASSERT_TRUE(routes_.service_added(addr("10.96.0.1")));
  ASSERT_TRUE(routes_.service_added(addr("10.96.0.1")));
  ASSERT_TRUE(routes_.service_added(addr("fd00:96::1")));
  EXPECT_EQ(where("10.96.0.1"), "service over none");
  EXPECT_EQ(where("fd00:96::1"), "service over none");
  EXPECT_EQ(routes_.lookup(addr("10.96.0.1"))->kind, api::RouteKind::service);
  EXPECT_EQ(flags("10.96.0.1"), api::kRouteLease);
  EXPECT_EQ(routes_.size(), 2U);
  routes_.service_removed(addr("10.96.0.1"));
  routes_.service_removed(addr("10.96.0.1"));
  routes_.service_removed(addr("fd00:96::1"));
  EXPECT_EQ(where("10.96.0.1"), "none");
  EXPECT_EQ(where("fd00:96::1"), "none");
  EXPECT_EQ(routes_.size(), 0U);
  EXPECT_EQ(adjacencies_.in_use(), 0U);
}

TEST_F(RouteTableTest, WhatIsUnderAServiceFollowsPortsAndRoutes) {
  ASSERT_TRUE(routes_.service_added(addr("10.0.0.5")));
  ASSERT_TRUE(routes_.service_added(addr("10.0.0.1")));
  ASSERT_TRUE(routes_.port_set(7, port(1, {"10.0.0.5"})));
  EXPECT_EQ(where("10.0.0.5"), "service over port 7 mac 1");
  EXPECT_EQ(where("10.0.0.1"), "service over local");
  ASSERT_TRUE(routes_.port_set(9, port(1, {"10.0.0.5"})));
  EXPECT_EQ(where("10.0.0.5"), "service over port 9 mac 1");
  routes_.port_removed(1);
  EXPECT_EQ(where("10.0.0.5"), "service over none");
  EXPECT_EQ(where("10.0.0.1"), "service over none");
  ASSERT_TRUE(routes_.set(plain_route("10.0.0.5/32", api::RouteKind::blackhole)));
  EXPECT_EQ(where("10.0.0.5"), "service over blackhole");
  routes_.service_removed(addr("10.0.0.5"));
  EXPECT_EQ(where("10.0.0.5"), "blackhole");
  ASSERT_TRUE(routes_.service_added(addr("10.0.0.5")));
  EXPECT_EQ(where("10.0.0.5"), "service over blackhole");
  ASSERT_TRUE(routes_.erase(prefix("10.0.0.5/32")));
  EXPECT_EQ(where("10.0.0.5"), "service over none");
}

TEST_F(RouteTableTest, AServiceAddressThatCannotBeOneChangesNothing) {
  for (const char* text : {"0.0.0.0", "224.0.0.1", "ff02::1", "::"})
    EXPECT_EQ(routes_.service_added(addr(text)).error().code, ErrorCode::invalid_argument) << text;
  for (uint32_t i = 1; i < kAdjacencies; ++i) {
    ASSERT_TRUE(routes_.service_added(addr(("10.96.0." + std::to_string(i)).c_str())));
  }
  EXPECT_EQ(routes_.service_added(addr("10.97.0.1")).error().code, ErrorCode::limit);
  EXPECT_EQ(where("10.97.0.1"), "none");
}

TEST_F(RouteTableTest, ForEachTellsEveryRouteOnce) {
  ASSERT_TRUE(routes_.port_set(7, port(1, {"10.0.0.5"})));
  ASSERT_TRUE(routes_.set(gateway_route("0.0.0.0/0", "10.0.0.5")));
  std::map<std::string, uint32_t> seen;
  routes_.for_each([&](const api::Route& route) { seen[to_string(route.prefix)] = route.flags; });
  const std::map<std::string, uint32_t> expected{{"0.0.0.0/0", 0},
                                                 {"10.0.0.1/32", api::kRouteLease},
                                                 {"10.0.0.5/32", api::kRouteLease},
                                                 {"fd00::1/128", api::kRouteLease}};
  EXPECT_EQ(seen, expected);
}

}  // namespace
}  // namespace weir::dataplane
