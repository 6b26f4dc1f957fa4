// What frontends a service becomes: conformance section 3, lines 1 and 4 to 8.
#include <gmock/gmock.h>

#include "dataplane/api/codec.h"
#include "tests/control/services/service_fixture.h"

namespace weir::control {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr uint32_t kMasquerade = api::kFrontendMasquerade;
constexpr uint32_t kDropIn = api::kFrontendDropInside;
constexpr uint32_t kDropOut = api::kFrontendDropOutside;
constexpr char kHere[] = "10.244.0.5";
constexpr char kThere[] = "10.244.7.5";

// One service on port 80 with all kinds of addresses, its endpoints and keys given.
cni::Json service_json(const cni::Json& backends, const cni::Json& more) {
  cni::Json json{{"name", "web"},
                 {"vips", {"10.96.0.10"}},
                 {"ports", {"80/tcp->8080@30080"}},
                 {"external_ips", {"198.51.100.7"}},
                 {"ingress_ips", {"192.0.2.80"}},
                 {"backends", backends}};
  if (!more.is_null()) json.update(more);
  return json;
}

struct Compiled {
  ServiceObjects objects;
  CompiledService plan;

  const api::Frontend& at(const char* address, uint16_t port, uint8_t protocol = 6) const {
    return plan.frontends.at({.address = ip(address), .port = port, .protocol = protocol});
  }
  std::vector<std::string> inside(const api::Frontend& frontend) const {
    return texts(plan.groups.at(frontend.group_inside));
  }
  std::vector<std::string> outside(const api::Frontend& frontend) const {
    return texts(plan.groups.at(frontend.group_outside));
  }
};

Compiled compiled(const cni::Json& json) {
  Compiled out;
  out.objects = read_objects(json.dump());
  out.plan = compile(out.objects.services.at(0), pointers(out.objects), test_node());
  return out;
}

TEST(ServiceCompile, ServesEveryKindOfAddress) {
  const Compiled web = compiled(service_json({kHere}, {}));
  EXPECT_EQ(web.plan.frontends.size(), 5U);  // two of the node's addresses are IPv4
  EXPECT_EQ(web.at("10.96.0.10", 80).kind, api::FrontendKind::cluster_ip);
  EXPECT_EQ(web.at("198.51.100.7", 80).kind, api::FrontendKind::external_ip);
  EXPECT_EQ(web.at("192.0.2.80", 80).kind, api::FrontendKind::load_balancer);
  EXPECT_EQ(web.at("192.0.2.1", 30080).kind, api::FrontendKind::node_port);
  EXPECT_EQ(web.at("10.244.0.1", 30080).kind, api::FrontendKind::node_port);
  EXPECT_THAT(web.inside(web.at("10.96.0.10", 80)), ElementsAre("10.244.0.5:8080"));
  EXPECT_EQ(api::get_text(web.at("10.96.0.10", 80).name), "default/web:80-tcp");
}

struct PolicyRow {
  const char* name;
  cni::Json backends;
  cni::Json keys;
  uint32_t cluster_flags;   // of the ClusterIP
  uint32_t external_flags;  // of NodePort, external IP and load balancer alike
  std::vector<std::string> cluster;
  std::vector<std::string> external_inside;
  std::vector<std::string> external_outside;
};

const cni::Json kLocalIn{{"internal_policy", "local"}};
const cni::Json kLocalOut{{"external_policy", "local"}};

class Policies : public testing::TestWithParam<PolicyRow> {};

TEST_P(Policies, DecideGroupsAndFlags) {
  const PolicyRow& row = GetParam();
  const Compiled web = compiled(service_json(row.backends, row.keys));
  const api::Frontend& cluster = web.at("10.96.0.10", 80);
  EXPECT_EQ(cluster.flags, row.cluster_flags);
  EXPECT_EQ(web.inside(cluster), row.cluster);
  EXPECT_EQ(web.outside(cluster), row.cluster);
  for (const auto& [address, port] :
       {std::pair{"198.51.100.7", 80}, {"192.0.2.80", 80}, {"192.0.2.1", 30080}}) {
    const api::Frontend& external = web.at(address, static_cast<uint16_t>(port));
    EXPECT_EQ(external.flags, row.external_flags) << address;
    EXPECT_EQ(web.inside(external), row.external_inside) << address;
    EXPECT_EQ(web.outside(external), row.external_outside) << address;
  }
}

const std::vector<std::string> kBoth{"10.244.0.5:8080", "10.244.7.5:8080"};
const std::vector<std::string> kOnlyHere{"10.244.0.5:8080"};
const std::vector<std::string> kOnlyThere{"10.244.7.5:8080"};
const std::vector<std::string> kNone;

INSTANTIATE_TEST_SUITE_P(
    Rules, Policies,
    testing::Values(
        PolicyRow{"cluster", {kHere, kThere}, {}, kMasquerade, kMasquerade, kBoth, kBoth, kBoth},
        PolicyRow{
            "external_local", {kHere, kThere}, kLocalOut, kMasquerade, 0, kBoth, kBoth, kOnlyHere},
        PolicyRow{"internal_local",
                  {kHere, kThere},
                  kLocalIn,
                  kMasquerade,
                  kMasquerade,
                  kOnlyHere,
                  kBoth,
                  kBoth},
        PolicyRow{"external_local_with_none_local_drops",
                  {kThere},
                  kLocalOut,
                  kMasquerade,
                  kDropOut,
                  kOnlyThere,
                  kOnlyThere,
                  kNone},
        PolicyRow{"internal_local_with_none_local_drops",
                  {kThere},
                  kLocalIn,
                  kMasquerade | kDropIn | kDropOut,
                  kMasquerade,
                  kNone,
                  kOnlyThere,
                  kOnlyThere},
        PolicyRow{"no_endpoint_at_all_is_refused", cni::Json::array(), kLocalOut, kMasquerade, 0,
                  kNone, kNone, kNone}),
    [](const auto& row) { return row.param.name; });

TEST(ServiceCompile, SourceRangesLimitLoadBalancersOnly) {
  const Compiled web =
      compiled(service_json({kHere}, {{"source_ranges", {"203.0.113.0/24", "2001:db8:1::/48"}}}));
  const uint64_t ranges = web.at("192.0.2.80", 80).source_ranges;
  EXPECT_THAT(web.plan.sets.at(ranges), ElementsAre(net("203.0.113.0/24")));
  EXPECT_EQ(web.plan.sets.size(), 1U);
  EXPECT_EQ(web.at("192.0.2.1", 30080).source_ranges, 0U);
  EXPECT_EQ(web.at("198.51.100.7", 80).source_ranges, 0U);
  EXPECT_EQ(web.at("10.96.0.10", 80).source_ranges, 0U);
}

TEST(ServiceCompile, RangesOfOneFamilyLeaveTheOtherOpen) {
  const Compiled web =
      compiled(service_json({kHere}, {{"ingress_ips", {"192.0.2.80", "2001:db8::80"}},
                                      {"source_ranges", {"10.0.0.0/8"}}}));
  EXPECT_NE(web.at("192.0.2.80", 80).source_ranges, 0U);
  EXPECT_EQ(web.at("2001:db8::80", 80).source_ranges, 0U);
}

TEST(ServiceCompile, KeepsFamiliesApart) {
  const Compiled web =
      compiled(service_json({kHere, "fd00:10:244::5"}, {{"vips", {"10.96.0.10", "fd00:96::10"}}}));
  EXPECT_THAT(web.inside(web.at("10.96.0.10", 80)), ElementsAre("10.244.0.5:8080"));
  EXPECT_THAT(web.inside(web.at("fd00:96::10", 80)), ElementsAre("fd00:10:244::5:8080"));
  EXPECT_THAT(web.inside(web.at("2001:db8::1", 30080)), ElementsAre("fd00:10:244::5:8080"));
}

TEST(ServiceCompile, AffinityIsEachPortsUnlessTheServiceShares) {
  const cni::Json ports{{"ports", {"80", "443"}}, {"affinity_seconds", 60}};
  const Compiled apart = compiled(service_json({kHere}, ports));
  EXPECT_EQ(apart.at("10.96.0.10", 80).affinity_seconds, 60U);
  EXPECT_NE(apart.at("10.96.0.10", 80).affinity, 0U);
  EXPECT_NE(apart.at("10.96.0.10", 80).affinity, apart.at("10.96.0.10", 443).affinity);
  cni::Json shared = ports;
  shared["affinity_key"] = "service";
  const Compiled together = compiled(service_json({kHere}, shared));
  EXPECT_EQ(together.at("10.96.0.10", 80).affinity, together.at("10.96.0.10", 443).affinity);
  EXPECT_EQ(compiled(service_json({kHere}, {})).at("10.96.0.10", 80).affinity, 0U);
}

TEST(ServiceCompile, TakesProtocolsAsTheyAre) {
  const Compiled dns = compiled(service_json({kHere}, {{"ports", {"53/udp", "53/tcp", "9/sctp"}}}));
  EXPECT_EQ(dns.at("10.96.0.10", 53, 17).key.protocol, 17);
  EXPECT_EQ(dns.at("10.96.0.10", 53, 6).key.protocol, 6);
  EXPECT_EQ(dns.at("10.96.0.10", 9, 132).key.protocol, 132);
}

TEST(ServiceCompile, PassesWeightsOn) {
  const Compiled web =
      compiled(service_json({{{"address", kHere}, {"weight", 7}}}, cni::Json::object()));
  EXPECT_EQ(web.plan.groups.at(web.at("10.96.0.10", 80).group_inside).at(0).weight, 7);
}

TEST(ServiceCompile, CountsLocalReadyPodsForTheHealthCheck) {
  const cni::Json keys{{"health_check_port", 32000}, {"ports", {"80", "443"}}};
  const cni::Json backends{kHere, kThere, {{"address", "10.244.0.6"}, {"ready", false}}};
  EXPECT_EQ(compiled(service_json(backends, keys)).plan.local_ready, 1U);
}

TEST(ServiceCompile, SkipsWhatAnotherServes) {
  Compiled web = compiled(service_json({kHere}, {}));
  web.objects.services[0].skipped = "it is headless";
  const CompiledService plan = compile(web.objects.services[0], pointers(web.objects), test_node());
  EXPECT_THAT(plan.frontends, IsEmpty());
  EXPECT_THAT(plan.groups, IsEmpty());
}

TEST(ServiceCompile, NumbersDoNotDependOnTheRun) {
  EXPECT_EQ(stable_number("group default/web:80/tcp/4/cluster"), 9089349654088437670U);
}

}  // namespace
}  // namespace weir::control
