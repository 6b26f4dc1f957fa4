// Objects as the API serves them, the compact form, and what is refused.
#include <gmock/gmock.h>

#include "tests/control/services/service_fixture.h"

namespace weir::control {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kService[] = R"({
  "apiVersion": "v1", "kind": "Service",
  "metadata": {"name": "web", "namespace": "shop", "uid": "x", "labels": {"a": "b"}},
  "spec": {
    "type": "LoadBalancer", "clusterIP": "10.96.0.10",
    "clusterIPs": ["10.96.0.10", "fd00:96::10"], "ipFamilies": ["IPv4", "IPv6"],
    "selector": {"app": "web"},
    "ports": [
      {"name": "http", "protocol": "TCP", "port": 80, "targetPort": "http", "nodePort": 30080},
      {"name": "dns", "protocol": "UDP", "port": 53, "targetPort": 5353}],
    "externalIPs": ["198.51.100.7"],
    "loadBalancerSourceRanges": [" 203.0.113.9/24 "],
    "sessionAffinity": "ClientIP",
    "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}},
    "internalTrafficPolicy": "Local", "externalTrafficPolicy": "Local",
    "healthCheckNodePort": 32000},
  "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.80"}, {"hostname": "x"},
                                          {"ip": "192.0.2.81", "ipMode": "Proxy"}]}}})";

constexpr char kSlice[] = R"({
  "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
  "metadata": {"name": "web-x7", "namespace": "shop",
               "labels": {"kubernetes.io/service-name": "web"}},
  "addressType": "IPv4",
  "ports": [{"name": "http", "protocol": "TCP", "port": 8080}, {"name": "all", "port": null}],
  "endpoints": [
    {"addresses": ["10.244.0.5", "10.244.9.9"], "nodeName": "here", "zone": "z1",
     "conditions": {"ready": true, "serving": null}, "targetRef": {"kind": "Pod", "name": "web-1"},
     "hints": {"forZones": [{"name": "z1"}], "forNodes": [{"name": "here"}]}},
    {"addresses": ["10.244.1.6"],
     "conditions": {"ready": false, "serving": true, "terminating": true}}]})";

TEST(ServiceParse, ReadsAServiceOfTheApi) {
  const ServiceObjects objects = read_objects(kService);
  ASSERT_EQ(objects.services.size(), 1U);
  const Service& service = objects.services[0];
  EXPECT_EQ(to_string(service.name), "shop/web");
  EXPECT_THAT(service.cluster_ips, ElementsAre(ip("10.96.0.10"), ip("fd00:96::10")));
  EXPECT_THAT(service.external_ips, ElementsAre(ip("198.51.100.7")));
  EXPECT_THAT(service.ingress_ips, ElementsAre(ip("192.0.2.80")));
  EXPECT_THAT(service.source_ranges, ElementsAre(net("203.0.113.0/24")));
  ASSERT_EQ(service.ports.size(), 2U);
  EXPECT_EQ(service.ports[0],
            (ServicePort{.name = "http", .protocol = 6, .port = 80, .node_port = 30080}));
  EXPECT_EQ(service.ports[1],
            (ServicePort{.name = "dns", .protocol = 17, .port = 53, .target = 5353}));
  EXPECT_EQ(service.internal_policy, TrafficPolicy::local);
  EXPECT_EQ(service.external_policy, TrafficPolicy::local);
  EXPECT_EQ(service.affinity_seconds, 60U);
  EXPECT_EQ(service.health_check_port, 32000);
  EXPECT_EQ(service.selector, (Labels{{"app", "web"}}));
  EXPECT_EQ(service.skipped, "");
}

TEST(ServiceParse, ReadsASliceOfTheApi) {
  const ServiceObjects objects = read_objects(kSlice);
  ASSERT_EQ(objects.slices.size(), 1U);
  const EndpointSlice& slice = objects.slices[0];
  EXPECT_EQ(to_string(slice.service_name()), "shop/web");
  EXPECT_EQ(slice.family, Family::ip4);
  EXPECT_THAT(slice.ports, ElementsAre(EndpointPort{.name = "http", .protocol = 6, .port = 8080}));
  ASSERT_EQ(slice.endpoints.size(), 2U);
  EXPECT_EQ(slice.endpoints[0], (Endpoint{.address = ip("10.244.0.5"),
                                          .node = "here",
                                          .zone = "z1",
                                          .pod = "web-1",
                                          .node_hints = {"here"},
                                          .zone_hints = {"z1"}}));
  EXPECT_FALSE(slice.endpoints[1].ready);
  EXPECT_TRUE(slice.endpoints[1].serving);
  EXPECT_TRUE(slice.endpoints[1].terminating);
}

TEST(ServiceParse, ReadsLists) {
  const std::string list = std::string(R"({"kind": "List", "items": [)") + kService + "," +
                           R"({"kind": "EndpointSliceList", "items": [)" + kSlice + "]}]}";
  const ServiceObjects objects = read_objects(list);
  EXPECT_EQ(objects.services.size(), 1U);
  EXPECT_EQ(objects.slices.size(), 1U);
}

TEST(ServiceParse, ReadsTheCompactForm) {
  const ServiceObjects objects = read_objects(R"({
    "name": "web", "vips": ["10.96.0.10", "fd00:96::10"],
    "ports": ["80/tcp->8080@30080", "53/udp", "7"],
    "backends": ["10.244.0.5", {"address": "fd00:10:244::5", "weight": 3, "ready": false}],
    "external_policy": "local", "affinity_seconds": 5, "affinity_key": "service"})");
  ASSERT_EQ(objects.services.size(), 1U);
  const Service& service = objects.services[0];
  EXPECT_EQ(to_string(service.name), "default/web");
  EXPECT_THAT(service.ports,
              ElementsAre(ServicePort{"80-tcp", 6, 80, 30080, 8080},
                          ServicePort{"53-udp", 17, 53, 0, 53}, ServicePort{"7-tcp", 6, 7, 0, 7}));
  EXPECT_EQ(service.external_policy, TrafficPolicy::local);
  EXPECT_EQ(service.affinity_seconds, 5U);
  EXPECT_TRUE(service.affinity_per_service);
  ASSERT_EQ(objects.slices.size(), 2U);
  EXPECT_THAT(objects.slices[0].endpoints, ElementsAre(Endpoint{.address = ip("10.244.0.5")}));
  EXPECT_THAT(objects.slices[1].endpoints,
              ElementsAre(Endpoint{.address = ip("fd00:10:244::5"), .weight = 3, .ready = false}));
}

struct Skipped {
  const char* name;
  const char* metadata;
  const char* spec;
};

class ServiceSkips : public testing::TestWithParam<Skipped> {};

TEST_P(ServiceSkips, LeavesItToAnother) {
  const ServiceObjects objects = read_objects(
      std::string(R"({"kind": "Service", "metadata": {"name": "x")") + GetParam().metadata +
      R"(}, "spec": {"ports": [{"port": 80}])" + GetParam().spec + "}}");
  ASSERT_EQ(objects.services.size(), 1U);
  EXPECT_NE(objects.services[0].skipped, "");
}

INSTANTIATE_TEST_SUITE_P(
    Rules, ServiceSkips,
    testing::Values(
        Skipped{"headless", "", R"(, "clusterIP": "None")"},
        Skipped{"external_name", "", R"(, "type": "ExternalName", "externalName": "a.b")"},
        Skipped{"proxy_name",
                R"(, "labels": {"service.kubernetes.io/service-proxy-name": "other"})",
                R"(, "clusterIP": "10.96.0.1")"},
        Skipped{"headless_label", R"(, "labels": {"service.kubernetes.io/headless": ""})",
                R"(, "clusterIP": "10.96.0.1")"}),
    [](const auto& row) { return row.param.name; });

struct Refused {
  const char* name;
  const char* text;
  const char* error;
};

class ServiceErrors : public testing::TestWithParam<Refused> {};

TEST_P(ServiceErrors, NameThePathAndTheRemedy) {
  EXPECT_THAT(read_error(GetParam().text), HasSubstr(GetParam().error));
}

INSTANTIATE_TEST_SUITE_P(
    Documents, ServiceErrors,
    testing::Values(
        Refused{"no_json", "{", "cannot decode JSON"},
        Refused{"a_number", "7", "document is not a JSON object"},
        Refused{"endpoints", R"({"kind": "Endpoints"})", "give a Service (v1), an EndpointSlice"},
        Refused{"other_group", R"({"kind": "Service", "apiVersion": "serving.knative.dev/v1"})",
                "document is a Service of another apiVersion than v1"},
        Refused{"no_name", R"({"kind": "Service"})", "metadata.name is ''"},
        Refused{"bad_name", R"({"kind": "Service", "metadata": {"name": "../x"}})",
                "metadata.name is '../x'; use lower-case"},
        Refused{"port_range",
                R"({"kind": "Service", "metadata": {"name": "a"},
                    "spec": {"ports": [{"port": 70000}]}})",
                "Service default/a: spec.ports[0].port is 70000; it must be between 1 and 65535"},
        Refused{"port_twice",
                R"({"kind": "Service", "metadata": {"name": "a"},
                    "spec": {"ports": [{"port": 80}, {"port": 80}]}})",
                "spec.ports[1] is there twice; give each port and protocol once"},
        Refused{"protocol",
                R"({"kind": "Service", "metadata": {"name": "a"},
                    "spec": {"ports": [{"port": 80, "protocol": "ICMP"}]}})",
                "spec.ports[0].protocol is 'ICMP'; set TCP, UDP or SCTP"},
        Refused{"policy",
                R"({"kind": "Service", "metadata": {"name": "a"},
                    "spec": {"internalTrafficPolicy": "local"}})",
                "spec.internalTrafficPolicy is 'local'; set Cluster or Local"},
        Refused{"loopback",
                R"({"kind": "Service", "metadata": {"name": "a"},
                    "spec": {"clusterIP": "127.0.0.1"}})",
                "spec.clusterIPs[0] is '127.0.0.1'; give an IPv4"},
        Refused{"slice_without_service",
                R"({"kind": "EndpointSlice", "metadata": {"name": "a"}, "addressType": "IPv4"})",
                "metadata.labels has no kubernetes.io/service-name"},
        Refused{"wrong_family",
                R"({"kind": "EndpointSlice", "addressType": "IPv6",
                    "metadata": {"name": "a", "labels": {"kubernetes.io/service-name": "b"}},
                    "endpoints": [{"addresses": ["10.0.0.1"]}]})",
                "endpoints[0].addresses[0] is '10.0.0.1'; give an address of the slice's"},
        Refused{"compact_port", R"({"name": "a", "ports": ["80/icmp"]})",
                "document.ports[0] is '80/icmp'; write PORT"},
        Refused{"compact_key", R"({"name": "a", "ports": ["80"], "vip": ["10.0.0.1"]})",
                "document.vip is not a known key; use one of: name"},
        Refused{"compact_backend", R"({"name": "a", "ports": ["80"], "backends": ["x"]})",
                "endpoints[0].addresses[0] is 'x'"}),
    [](const auto& row) { return row.param.name; });

TEST(ServiceParse, BoundsWhatADocumentHolds) {
  cni::Json slice = cni::Json::parse(kSlice);
  slice["endpoints"] = cni::Json::array();
  for (size_t i = 0; i <= kMaxSliceEndpoints; ++i) {
    slice["endpoints"].push_back({{"addresses", {"10.244.0.5"}}});
  }
  EXPECT_THAT(read_error(slice.dump()), HasSubstr("endpoints has 10001 entries; give at most"));
}

TEST(ServiceLabels, AreReadFromArgumentsAndAnnotations) {
  EXPECT_EQ(parse_labels("app:web,tier:front", ':'), (Labels{{"app", "web"}, {"tier", "front"}}));
  EXPECT_EQ(parse_labels(" app = web , x", '='), (Labels{{"app", "web"}, {"x", ""}}));
  EXPECT_THAT(parse_labels("", ':'), IsEmpty());
  EXPECT_THAT(parse_labels(",:v,", ':'), IsEmpty());
}

}  // namespace
}  // namespace weir::control
