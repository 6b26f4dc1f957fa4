// weir-control as a process: the verbs, against a dataplane without forwarding.
#include <gmock/gmock.h>

#include <future>
#include <set>

#include "control/netns/netlink.h"
#include "tests/control/control_process.h"

namespace weir::control {
namespace {

using cni::Json;

class DaemonTest : public testing::Test {
 protected:
  void SetUp() override { WEIR_NEEDS_NAMESPACES(); }

  // Nothing but the host port is left anywhere.
  void expect_nothing_left() {
    EXPECT_EQ(node_.ask("pod.list").result, Json::array());
    const Json leases = node_.ask("ipam.show").result["leases"];
    for (const Json& lease : leases) {
      EXPECT_TRUE(lease["state"] == "resting" || lease["container_id"] == "@host") << lease;
    }
    EXPECT_EQ(node_.dataplane().ports().size(), 1U);
  }

  TestNode node_;
  TestPod pod_{"pod-a"};
};

std::string text(const cni::Reply& reply) {
  return reply.error ? reply.error->msg + ": " + reply.error->details : "";
}
int code(const cni::Reply& reply) { return reply.error ? static_cast<int>(reply.error->code) : 0; }

TEST_F(DaemonTest, MakesTheHostPort) {
  node_.start();
  const auto ports = node_.dataplane().ports();
  ASSERT_EQ(ports.size(), 1U);
  const api::PortConfig& host = ports.begin()->second;
  EXPECT_EQ(host.kind, api::PortKind::host);
  EXPECT_EQ(host.flags, api::kPortTrusted);
  EXPECT_EQ(host.address_count, 2);
  EXPECT_TRUE(node_.dataplane().has_tap(host.key));
  EXPECT_EQ(node_.dataplane().routes().at("0.0.0.0/0").port_key, host.key);
  EXPECT_EQ(node_.dataplane().routes().at("::/0").port_key, host.key);
}

TEST_F(DaemonTest, AddsAndDeletesAKernelPod) {
  node_.start();
  const cni::Reply added = pod_.add(node_);
  ASSERT_EQ(text(added), "");
  const Json result = added.result["stdout"];
  EXPECT_EQ(result["cniVersion"], "1.0.0");
  EXPECT_EQ(result["interfaces"][0]["name"], "eth0");
  EXPECT_EQ(result["interfaces"][0]["sandbox"], pod_.path());
  EXPECT_EQ(result["ips"].size(), 2U);
  EXPECT_EQ(result["ips"][0]["gateway"], "10.244.0.1");
  EXPECT_TRUE(pod_.has_interface());
  ASSERT_EQ(node_.dataplane().ports().size(), 2U);
  const api::PortConfig port = node_.dataplane().ports().rbegin()->second;
  EXPECT_EQ(to_string(port.mac), result["interfaces"][0]["mac"]);
  EXPECT_EQ(to_string(port.addresses[0]) + "/32", result["ips"][0]["address"]);
  EXPECT_TRUE(node_.dataplane().has_tap(port.key));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(text(pod_.del(node_)), "");
  EXPECT_FALSE(pod_.has_interface());
  expect_nothing_left();
}

TEST_F(DaemonTest, TheFirstAddStandsWhenASecondComes) {
  node_.start();
  const cni::Reply first = pod_.add(node_);
  ASSERT_EQ(text(first), "");
  EXPECT_EQ(code(pod_.add(node_)), 101);
  const cni::Json params = pod_.params({});
  Json other = params;
  other["containerId"] = "pod-b";
  EXPECT_EQ(code(node_.ask("cni.add", other)), 101);  // the interface is there
  EXPECT_EQ(code(node_.ask("cni.del", other)), 0);    // what a runtime does then
  EXPECT_TRUE(pod_.has_interface());
  EXPECT_EQ(node_.dataplane().ports().size(), 2U);
  EXPECT_EQ(node_.ask("pod.list").result.size(), 1U);
}

TEST_F(DaemonTest, AddsManyAtOnce) {
  constexpr size_t kPods = 110;
  node_.start();
  std::vector<std::unique_ptr<TestPod>> pods;
  for (size_t i = 0; i < kPods; ++i) {
    pods.push_back(std::make_unique<TestPod>("pod-" + std::to_string(i)));
  }
  const auto all = [&](auto verb) {
    std::vector<std::future<cni::Reply>> replies;
    for (const auto& pod : pods) replies.push_back(std::async(std::launch::async, verb, pod.get()));
    std::vector<cni::Reply> out;
    for (auto& reply : replies) out.push_back(reply.get());
    return out;
  };
  std::set<std::string> addresses;
  const auto added = all([&](TestPod* pod) { return pod->add(node_); });
  for (const cni::Reply& reply : added) {
    ASSERT_EQ(text(reply), "");
    addresses.insert(reply.result["stdout"]["ips"][0]["address"].get<std::string>());
  }
  EXPECT_EQ(addresses.size(), kPods);
  EXPECT_EQ(node_.dataplane().ports().size(), kPods + 1);
  for (const cni::Reply& reply : all([&](TestPod* pod) { return pod->del(node_); })) {
    EXPECT_EQ(text(reply), "");
  }
  for (const auto& pod : pods) EXPECT_FALSE(pod->has_interface());
  expect_nothing_left();
}

TEST_F(DaemonTest, AMemifPodGetsASocketAndNoInterface) {
  node_.start();
  const cni::Reply added =
      pod_.add(node_, {{"cniVersion", "1.1.0"}, {"port", "memif"}, {"memif", {{"ringSize", 512}}}});
  ASSERT_EQ(text(added), "");
  const Json interface = added.result["stdout"]["interfaces"][0];
  EXPECT_EQ(interface["socketPath"], node_.run_dir() + "/pods/pod-a-eth0.sock");
  EXPECT_EQ(interface["mtu"], 1500);
  EXPECT_FALSE(pod_.has_interface());
  const api::PortConfig port = node_.dataplane().ports().rbegin()->second;
  EXPECT_EQ(port.kind, api::PortKind::memif);
  EXPECT_EQ(port.memif_log2_ring, 9);
  EXPECT_EQ(api::get_text(port.socket_path), interface["socketPath"]);
  EXPECT_EQ(text(pod_.del(node_)), "");
  expect_nothing_left();
}

// Each refuses one step; nothing may be left, and the next ADD must work.
struct Obstacle {
  const char* name;
  Json config;
  const char* args;
  int code;
};

class DaemonObstacleTest : public DaemonTest, public testing::WithParamInterface<Obstacle> {};

TEST_P(DaemonObstacleTest, AFailedAddLeavesNothing) {
  node_.start();
  pod_.args = GetParam().args;
  EXPECT_EQ(code(pod_.add(node_, GetParam().config)), GetParam().code);
  EXPECT_FALSE(pod_.has_interface());
  expect_nothing_left();
  pod_.args = "";
  EXPECT_EQ(text(pod_.add(node_)), "");
}

INSTANTIATE_TEST_SUITE_P(
    Steps, DaemonObstacleTest,
    testing::Values(Obstacle{"pairs", {{"port", "vhost-user"}, {"vhost-user", {{"queues", 9}}}}, "", 7},
                    Obstacle{"delegated", {{"ipam", {{"type", "host-local"}}}}, "", 7},
                    Obstacle{"mtu", {{"mtu", 1279}}, "", 7},
                    Obstacle{"ring", {{"port", "memif"}, {"memif", {{"ringSize", 500}}}}, "", 7},
                    Obstacle{"lease", {}, "IP=192.0.2.1", 7},
                    Obstacle{"interface", {{"mtu", 65535}}, "", 7},
                    // The kernel refuses a gateway that is the pod's own address.
                    Obstacle{
                        "routes",
                        {{"ipam", {{"routes", {{{"dst", "10.9.0.0/16"}, {"gw", "10.244.0.77"}}}}}}},
                        "IP=10.244.0.77",
                        7}),
    [](const auto& obstacle) { return obstacle.param.name; });

TEST_F(DaemonTest, ARefusedPortLeavesNothing) {
  node_.start();
  node_.dataplane().set_refuse([](api::MessageType type) -> std::optional<Error> {
    if (type != api::MessageType::port_set) return std::nullopt;
    return Error{ErrorCode::limit, "no room"};
  });
  EXPECT_NE(code(pod_.add(node_)), 0);
  node_.dataplane().set_refuse({});
  EXPECT_FALSE(pod_.has_interface());
  expect_nothing_left();
}

TEST_F(DaemonTest, ExhaustedAddressesComeBack) {
  const Json tiny{{"ipam", {{"ranges", {{{{"subnet", "10.99.0.0/30"}}}}}}}};
  TestPod second("pod-b");
  node_.start();
  ASSERT_EQ(text(pod_.add(node_, tiny)), "");
  EXPECT_EQ(code(second.add(node_, tiny)), 102);
  EXPECT_FALSE(second.has_interface());
  Json status = tiny;
  status["cniVersion"] = "1.1.0";
  EXPECT_EQ(code(second.verb(node_, "status", status)), 50);
  EXPECT_EQ(text(pod_.del(node_, tiny)), "");
  EXPECT_EQ(text(second.add(node_, tiny)), "");
}

TEST_F(DaemonTest, ChecksWhatAddMade) {
  node_.start();
  const Json result = pod_.add(node_).result["stdout"];
  const Json config{{"prevResult", result}};
  EXPECT_EQ(text(pod_.verb(node_, "check", config)), "");
  const Status removed = pod_.netns().run([&]() -> Status {
    Result<Netlink> netlink = Netlink::open();
    const int index = (*netlink->find_link("eth0"))->index;
    return netlink->delete_route({.prefix = *parse_prefix("0.0.0.0/0"),
                                  .link = index,
                                  .gateway = *parse_address("10.244.0.1")});
  });
  ASSERT_TRUE(removed);
  EXPECT_EQ(code(pod_.verb(node_, "check", config)), 103);
  EXPECT_EQ(text(pod_.del(node_)), "");
  EXPECT_EQ(code(pod_.verb(node_, "check", config)), 3);
}

TEST_F(DaemonTest, CollectsWhatTheRuntimeForgot) {
  TestPod second("pod-b");
  node_.start();
  ASSERT_EQ(text(pod_.add(node_)) + text(second.add(node_)), "");
  const Json none{{"cniVersion", "1.1.0"}};
  EXPECT_EQ(text(pod_.verb(node_, "gc", none)), "");  // without the key: nothing
  EXPECT_EQ(node_.ask("pod.list").result.size(), 2U);
  Json valid = none;
  valid["cni.dev/valid-attachments"] = {{{"containerID", "pod-b"}, {"ifname", "eth0"}}};
  EXPECT_EQ(text(pod_.verb(node_, "gc", valid)), "");
  EXPECT_FALSE(pod_.has_interface());
  EXPECT_TRUE(second.has_interface());
  valid["cni.dev/valid-attachments"] = Json::array();
  EXPECT_EQ(text(pod_.verb(node_, "gc", valid)), "");
  EXPECT_FALSE(second.has_interface());
  expect_nothing_left();
}

TEST_F(DaemonTest, PassesAPreviousResultOn) {
  node_.start();
  const Json previous{{"cniVersion", "1.0.0"},
                      {"interfaces", {{{"name", "net0"}, {"sandbox", "/x"}}}},
                      {"ips", {{{"address", "192.0.2.9/24"}, {"interface", 0}}}}};
  const cni::Reply added = pod_.add(node_, {{"prevResult", previous}});
  ASSERT_EQ(text(added), "");
  const Json result = added.result["stdout"];
  EXPECT_EQ(result["interfaces"][0]["name"], "net0");
  EXPECT_EQ(result["interfaces"][1]["name"], "eth0");
  EXPECT_EQ(result["ips"][0]["address"], "192.0.2.9/24");
  EXPECT_EQ(result["ips"][1]["interface"], 1);
}

TEST_F(DaemonTest, KeepsTheOperatorsRoutes) {
  node_.start();
  EXPECT_EQ(text(node_.ask("route.add", {{"prefix", "10.9.0.0/16"}, {"via", "10.244.0.5"}})), "");
  EXPECT_EQ(text(node_.ask("route.add", {{"prefix", "0.0.0.0/0"}, {"kind", "unreachable"}})), "");
  EXPECT_EQ(node_.dataplane().routes().at("0.0.0.0/0").kind, api::RouteKind::unreachable);
  EXPECT_EQ(code(node_.ask("route.add", {{"prefix", "10.9.0.0/16"}, {"via", "fd00::1"}})), 7);
  EXPECT_EQ(code(node_.ask("route.add", {{"prefix", "10.9.0.1/16"}, {"kind", "blackhole"}})), 7);
  EXPECT_EQ(code(node_.ask("route.add", {{"prefix", "10.9.0.0/16"}})), 7);
  node_.dataplane().set_refuse([](api::MessageType type) -> std::optional<Error> {
    if (type != api::MessageType::route_set) return std::nullopt;
    return Error{ErrorCode::limit, "full"};
  });
  EXPECT_NE(code(node_.ask("route.add", {{"prefix", "10.8.0.0/16"}, {"kind", "blackhole"}})), 0);
  node_.dataplane().set_refuse({});
  EXPECT_EQ(node_.ask("route.list").result.size(), 2U);
  node_.kill();
  node_.start();
  EXPECT_EQ(node_.dataplane().routes().at("10.9.0.0/16").kind, api::RouteKind::gateway);
  EXPECT_EQ(text(node_.ask("route.del", {{"prefix", "0.0.0.0/0"}})), "");
  EXPECT_EQ(node_.dataplane().routes().at("0.0.0.0/0").kind,
            api::RouteKind::port);  // its own again
  EXPECT_EQ(text(node_.ask("route.del", {{"prefix", "10.9.0.0/16"}})), "");
  EXPECT_EQ(node_.dataplane().routes().count("10.9.0.0/16"), 0U);
  EXPECT_EQ(code(node_.ask("route.del", {{"prefix", "10.9.0.0/16"}})), 3);
}

}  // namespace
}  // namespace weir::control
