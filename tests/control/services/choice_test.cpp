// Which endpoints are used: conformance section 3, lines 2 and 3.
#include <gmock/gmock.h>

#include "tests/control/services/service_fixture.h"

namespace weir::control {
namespace {

struct Row {
  const char* name;
  std::vector<Endpoint> endpoints;
  std::vector<Use> cluster;
  std::vector<Use> local;
};

Endpoint on(const char* node, Endpoint endpoint = {}) {
  endpoint.node = node;
  return endpoint;
}
Endpoint hinted(const char* zone, const char* node = nullptr) {
  Endpoint endpoint = on("here");
  endpoint.zone_hints = {zone};
  if (node != nullptr) endpoint.node_hints = {node};
  return endpoint;
}

const Endpoint kReady;
const Endpoint kNotReady{.ready = false, .serving = false};
const Endpoint kUnready{.ready = false};
const Endpoint kDraining{.ready = false, .terminating = true};
const Endpoint kDead{.ready = false, .serving = false, .terminating = true};

class Choosing : public testing::TestWithParam<Row> {};

TEST_P(Choosing, FollowsKubeProxy) {
  std::vector<Candidate> candidates;
  for (const Endpoint& endpoint : GetParam().endpoints) {
    candidates.push_back({&endpoint, 80, endpoint.node == "here"});
  }
  const Choice choice = choose(candidates, test_node());
  EXPECT_EQ(choice.cluster, GetParam().cluster);
  EXPECT_EQ(choice.local, GetParam().local);
  EXPECT_EQ(choice.any_cluster, std::ranges::any_of(GetParam().cluster, is_used));
  EXPECT_EQ(choice.any_local, std::ranges::any_of(GetParam().local, is_used));
}

INSTANTIATE_TEST_SUITE_P(Rules, Choosing,
                         testing::Values(Row{"ready_is_used",
                                             {on("here", kReady), on("there", kReady)},
                                             {Use::ready, Use::ready},
                                             {Use::ready, Use::other_node}},
                                         Row{"not_ready_is_not",
                                             {on("here", kNotReady), on("here", kReady)},
                                             {Use::not_ready, Use::ready},
                                             {Use::not_ready, Use::ready}},
                                         Row{"draining_rests_beside_ready",
                                             {on("here", kDraining), on("here", kReady)},
                                             {Use::draining, Use::ready},
                                             {Use::draining, Use::ready}},
                                         Row{"draining_serves_alone",
                                             {on("here", kDraining), on("there", kDraining),
                                              on("there", kDead)},
                                             {Use::last_resort, Use::last_resort, Use::not_ready},
                                             {Use::last_resort, Use::other_node, Use::other_node}},
                                         Row{"each_policy_decides_for_itself",
                                             {on("here", kDraining), on("there", kReady)},
                                             {Use::draining, Use::ready},
                                             {Use::last_resort, Use::other_node}},
                                         Row{"serving_but_not_terminating_is_not_used",
                                             {on("here", kUnready)},
                                             {Use::not_ready},
                                             {Use::not_ready}},
                                         Row{"zone_hints_keep_to_the_zone",
                                             {hinted("z1"), hinted("z2")},
                                             {Use::ready, Use::other_zone},
                                             {Use::ready, Use::ready}},
                                         Row{"node_hints_go_first",
                                             {hinted("z1", "here"), hinted("z1", "there")},
                                             {Use::ready, Use::other_node},
                                             {Use::ready, Use::ready}},
                                         Row{"zone_hints_when_no_node_hint_is_for_us",
                                             {hinted("z1", "there"), hinted("z2", "there")},
                                             {Use::ready, Use::other_zone},
                                             {Use::ready, Use::ready}},
                                         Row{"one_without_hint_switches_hints_off",
                                             {hinted("z2"), hinted("z1"), on("here", kReady)},
                                             {Use::ready, Use::ready, Use::ready},
                                             {Use::ready, Use::ready, Use::ready}},
                                         Row{"no_hint_for_us_switches_hints_off",
                                             {hinted("z2"), hinted("z3")},
                                             {Use::ready, Use::ready},
                                             {Use::ready, Use::ready}},
                                         Row{"hints_of_unready_endpoints_do_not_count",
                                             {hinted("z1"), on("there", kNotReady)},
                                             {Use::ready, Use::not_ready},
                                             {Use::ready, Use::other_node}}),
                         [](const auto& row) { return row.param.name; });

class Candidates : public testing::Test {
 protected:
  std::vector<Candidate> find(const ServicePort& port, Family family = Family::ip4) {
    return find_candidates(port, family, pointers(objects_), test_node());
  }
  EndpointSlice& slice(const char* name, std::vector<EndpointPort> ports,
                       std::vector<Endpoint> endpoints) {
    return objects_.slices.emplace_back(EndpointSlice{.name = {"default", name},
                                                      .service = "web",
                                                      .family = Family::ip4,
                                                      .ports = std::move(ports),
                                                      .endpoints = std::move(endpoints)});
  }
  ServiceObjects objects_;
};

TEST_F(Candidates, MatchByNameAndProtocol) {
  slice("a", {{"http", 6, 8080}, {"dns", 17, 53}, {"dns", 6, 54}}, {{.address = ip("10.0.0.1")}});
  EXPECT_EQ(find({.name = "http", .protocol = 6})[0].port, 8080);
  EXPECT_EQ(find({.name = "dns", .protocol = 6})[0].port, 54);
  EXPECT_TRUE(find({.name = "http", .protocol = 17}).empty());
  EXPECT_TRUE(find({.name = "https", .protocol = 6}).empty());
  EXPECT_TRUE(find({.name = "http", .protocol = 6}, Family::ip6).empty());
}

TEST_F(Candidates, StandOnceTheReadyOneFirst) {
  slice("a", {{"", 6, 80}}, {{.address = ip("10.0.0.1"), .ready = false}});
  slice("b", {{"", 6, 80}}, {{.address = ip("10.0.0.1")}});
  const auto found = find({});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_TRUE(found[0].endpoint->ready);
}

TEST_F(Candidates, WithoutANodeAreLocalInTheNodesPodRanges) {
  slice("a", {{"", 6, 80}}, {{.address = ip("10.244.0.9")}, {.address = ip("10.244.1.9")}});
  const auto found = find({});
  ASSERT_EQ(found.size(), 2U);
  EXPECT_TRUE(found[0].local);
  EXPECT_FALSE(found[1].local);
}

}  // namespace
}  // namespace weir::control
