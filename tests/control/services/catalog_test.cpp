// Changes become the smallest plans.
#include <gmock/gmock.h>

#include "dataplane/api/codec.h"
#include "dataplane/api/masquerade.h"
#include "tests/control/services/service_fixture.h"

namespace weir::control {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr auto kGiven = ServiceSource::operator_given;
constexpr auto kFiles = ServiceSource::directory;

std::string compact(const char* name, const char* vip, const std::vector<std::string>& backends,
                    const cni::Json& more = cni::Json::object()) {
  cni::Json json{{"name", name}, {"vips", {vip}}, {"ports", {"80"}}, {"backends", backends}};
  json.update(more);
  return json.dump();
}

class CatalogTest : public testing::Test {
 protected:
  void SetUp() override { static_cast<void>(catalog_.take_changes()); }
  void put(const std::string& text, ServiceSource source = kGiven) {
    catalog_.put(source, read_objects(text));
  }
  ServicePlan changes() { return catalog_.take_changes(); }

  ServiceCatalog catalog_{test_node()};
};

TEST(ServiceCatalogStart, TellsTheNodesOwnFactsFirst) {
  ServiceCatalog catalog(test_node());
  const ServicePlan plan = catalog.take_changes();
  EXPECT_TRUE(plan.has_settings);
  EXPECT_EQ(plan.settings.masquerade4, ip("10.244.0.1"));
  EXPECT_EQ(plan.settings.masquerade6, ip("fd00:10:244::1"));
  EXPECT_THAT(plan.sets.at(api::kInsideSet), ElementsAre(net("10.244.0.0/16")));
  EXPECT_THAT(plan.sets.at(api::kKeptSet), ElementsAre(net("10.0.0.0/8")));
  EXPECT_TRUE(catalog.take_changes().empty());
}

TEST_F(CatalogTest, SendsANewServiceOnce) {
  put(compact("web", "10.96.0.1", {"10.244.0.5"}));
  const ServicePlan plan = changes();
  EXPECT_THAT(plan.frontends, SizeIs(1));
  EXPECT_THAT(plan.groups, SizeIs(1));
  EXPECT_TRUE(changes().empty());
  put(compact("web", "10.96.0.1", {"10.244.0.5"}));
  EXPECT_TRUE(changes().empty());
}

TEST_F(CatalogTest, AnEndpointCostsItsGroupAlone) {
  put(compact("web", "10.96.0.1", {"10.244.0.5"}));
  put(compact("db", "10.96.0.2", {"10.244.0.6"}));
  static_cast<void>(changes());
  put(compact("web", "10.96.0.1", {"10.244.0.5", "10.244.0.7"}));
  const ServicePlan plan = changes();
  EXPECT_THAT(plan.frontends, IsEmpty());
  ASSERT_THAT(plan.groups, SizeIs(1));
  EXPECT_THAT(texts(plan.groups.begin()->second), ElementsAre("10.244.0.5:80", "10.244.0.7:80"));
}

TEST_F(CatalogTest, ItsShapeFollowsServicesNotEndpoints) {
  put(compact("web", "10.96.0.1", {"10.244.0.5"}));
  static_cast<void>(changes());
  const uint64_t before = catalog_.shape();
  put(compact("web", "10.96.0.1", {"10.244.0.5", "10.244.0.7"}));
  static_cast<void>(changes());
  EXPECT_EQ(catalog_.shape(), before);
  put(compact("web", "10.96.0.2", {"10.244.0.5"}));
  static_cast<void>(changes());
  EXPECT_NE(catalog_.shape(), before);
}

TEST_F(CatalogTest, RemovesAllOfAService) {
  put(compact("web", "10.96.0.1", {"10.244.0.5"},
              {{"ingress_ips", {"192.0.2.80"}}, {"source_ranges", {"10.0.0.0/8"}}}));
  static_cast<void>(changes());
  EXPECT_TRUE(catalog_.remove(kGiven, {"default", "web"}));
  const ServicePlan plan = changes();
  EXPECT_THAT(plan.gone_frontends, SizeIs(2));
  EXPECT_THAT(plan.gone_groups, SizeIs(1));
  EXPECT_THAT(plan.gone_sets, SizeIs(1));
  EXPECT_FALSE(catalog_.remove(kGiven, {"default", "web"}));
  EXPECT_TRUE(changes().empty());
  EXPECT_THAT(catalog_.names(), IsEmpty());
}

TEST_F(CatalogTest, TheWholePlanHoldsEverything) {
  put(compact("web", "10.96.0.1", {"10.244.0.5"}));
  put(compact("db", "10.96.0.2", {"10.244.0.6"}));
  const ServicePlan plan = catalog_.whole();
  EXPECT_THAT(plan.frontends, SizeIs(2));
  EXPECT_THAT(plan.groups, SizeIs(2));
  EXPECT_TRUE(plan.has_settings);
  EXPECT_TRUE(changes().empty());
}

TEST_F(CatalogTest, OneAddressServesTheFirstByName) {
  const auto owner = [this] {
    return to_string(*catalog_.owner({.address = ip("10.96.0.1"), .port = 80, .protocol = 6}));
  };
  put(compact("beta", "10.96.0.1", {"10.244.0.5"}));
  static_cast<void>(changes());
  EXPECT_EQ(owner(), "default/beta");
  put(compact("alpha", "10.96.0.1", {"10.244.0.6"}));
  EXPECT_THAT(changes().frontends, SizeIs(1));
  EXPECT_EQ(owner(), "default/alpha");
  catalog_.remove(kGiven, {"default", "alpha"});
  const ServicePlan plan = changes();
  EXPECT_THAT(plan.gone_frontends, IsEmpty());  // it goes over without a gap
  ASSERT_THAT(plan.frontends, SizeIs(1));
  EXPECT_EQ(api::get_text(plan.frontends.begin()->second.name), "default/beta:80-tcp");
}

TEST_F(CatalogTest, TheEarlierSourceDescribesAServiceEndpointsOfAllCount) {
  put(compact("web", "10.96.0.1", {"10.244.0.5"}), kFiles);
  put(compact("web", "10.96.0.2", {"10.244.0.6"}));
  const ServicePlan plan = changes();
  ASSERT_THAT(plan.frontends, SizeIs(1));
  EXPECT_EQ(plan.frontends.begin()->first.address, ip("10.96.0.2"));
  EXPECT_THAT(texts(plan.groups.begin()->second), ElementsAre("10.244.0.5:80", "10.244.0.6:80"));
}

TEST_F(CatalogTest, ReplacingASourceRemovesWhatItDropped) {
  put(compact("web", "10.96.0.1", {"10.244.0.5"}), kFiles);
  put(compact("db", "10.96.0.2", {"10.244.0.6"}), kFiles);
  put(compact("own", "10.96.0.3", {"10.244.0.7"}));
  static_cast<void>(changes());
  catalog_.replace(kFiles, read_objects(compact("db", "10.96.0.2", {"10.244.0.6"})));
  const ServicePlan plan = changes();
  ASSERT_THAT(plan.gone_frontends, SizeIs(1));
  EXPECT_EQ(plan.gone_frontends[0].address, ip("10.96.0.1"));
  EXPECT_THAT(plan.frontends, IsEmpty());
  EXPECT_THAT(catalog_.names(), SizeIs(2));
}

TEST_F(CatalogTest, ASliceMayComeFirstAndMayMove) {
  const std::string service = compact("web", "10.96.0.1", {});
  cni::Json slice{
      {"kind", "EndpointSlice"},
      {"metadata", {{"name", "s"}, {"labels", {{"kubernetes.io/service-name", "web"}}}}},
      {"addressType", "IPv4"},
      {"ports", {{{"name", "80-tcp"}, {"port", 8080}}}},
      {"endpoints", {{{"addresses", {"10.244.0.5"}}}}}};
  put(slice.dump());
  EXPECT_TRUE(changes().empty());
  put(service);
  EXPECT_THAT(texts(changes().groups.begin()->second), ElementsAre("10.244.0.5:8080"));
  slice["metadata"]["labels"]["kubernetes.io/service-name"] = "other";
  put(slice.dump());
  EXPECT_THAT(changes().groups.begin()->second, IsEmpty());
}

TEST_F(CatalogTest, PodsJoinByTheirLabels) {
  put(compact("web", "10.96.0.1", {}, {{"selector", {{"app", "web"}}}}));
  static_cast<void>(changes());
  AttachedPod pod{.name = {"default", "web-1"},
                  .labels = {{"app", "web"}, {"tier", "front"}},
                  .addresses = {ip("10.244.0.8"), ip("fd00:10:244::8")}};
  catalog_.set_pod(7, pod);
  EXPECT_THAT(texts(changes().groups.begin()->second), ElementsAre("10.244.0.8:80"));
  pod.labels["app"] = "other";
  catalog_.set_pod(7, pod);
  EXPECT_THAT(changes().groups.begin()->second, IsEmpty());
  pod.labels["app"] = "web";
  catalog_.set_pod(7, pod);
  static_cast<void>(changes());
  catalog_.remove_pod(7);
  EXPECT_THAT(changes().groups.begin()->second, IsEmpty());
  pod.name.space = "elsewhere";
  catalog_.set_pod(8, pod);
  EXPECT_TRUE(changes().empty());
}

TEST_F(CatalogTest, HostPortsComeAndGoWithTheirPod) {
  AttachedPod pod{
      .name = {"default", "web-1"},
      .labels = {},
      .addresses = {ip("10.244.0.8"), ip("fd00:10:244::8")},
      .host_ports = {{"8080-tcp", 6, 8080, 0, 80, {}}, {"53-udp", 17, 53, 0, 53, ip("192.0.2.1")}}};
  catalog_.set_pod(7, pod);
  const ServicePlan plan = changes();
  const auto backends = [&](const char* address, uint16_t port, uint8_t protocol) {
    const api::Frontend& frontend =
        plan.frontends.at({.address = ip(address), .port = port, .protocol = protocol});
    EXPECT_EQ(frontend.kind, api::FrontendKind::host_port);
    EXPECT_EQ(frontend.flags, 0U);
    return texts(plan.groups.at(frontend.group_outside));
  };
  EXPECT_THAT(backends("192.0.2.1", 8080, 6), ElementsAre("10.244.0.8:80"));
  EXPECT_THAT(backends("2001:db8::1", 8080, 6), ElementsAre("fd00:10:244::8:80"));
  EXPECT_THAT(backends("192.0.2.1", 53, 17), ElementsAre("10.244.0.8:53"));
  EXPECT_THAT(backends("10.244.0.1", 53, 17), ElementsAre("10.244.0.8:53"));
  EXPECT_THAT(plan.frontends, SizeIs(5));  // the second port is on one address and the gateway
  catalog_.remove_pod(7);
  EXPECT_THAT(changes().gone_frontends, SizeIs(5));
  EXPECT_THAT(catalog_.names(), IsEmpty());
}

TEST_F(CatalogTest, NewNodeFactsRecompileAll) {
  put(compact("web", "10.96.0.1", {"10.244.0.5"}, {{"ports", {"80@30080"}}}));
  EXPECT_THAT(changes().frontends, SizeIs(3));
  NodeFacts node = test_node();
  node.addresses.push_back(ip("192.0.2.2"));
  catalog_.set_node(node);
  const ServicePlan plan = changes();
  EXPECT_THAT(plan.frontends, SizeIs(1));
  EXPECT_TRUE(plan.has_settings);
}

}  // namespace
}  // namespace weir::control
