// weir-control and the dataplane die and come back, at any moment.
#include <fstream>
#include <future>

#include "cni/spool.h"
#include "control/netns/netlink.h"
#include "tests/control/control_process.h"

namespace weir::control {
namespace {

using cni::Json;

class DaemonRestartTest : public testing::Test {
 protected:
  void SetUp() override { WEIR_NEEDS_NAMESPACES(); }

  std::string address(const cni::Reply& reply) {
    return reply.error ? reply.error->msg
                       : reply.result["stdout"]["ips"][0]["address"].get<std::string>();
  }
  size_t leases() {
    size_t count = 0;
    const Json all = node_.ask("ipam.show").result["leases"];
    for (const Json& lease : all) {
      count += lease["state"] == "leased" && lease["container_id"] != "@host";
    }
    return count;
  }

  TestNode node_;
  TestPod pod_{"pod-a"};
};

TEST_F(DaemonRestartTest, KeepsLeasesAndPortsOverAKill) {
  node_.start();
  const std::string before = address(pod_.add(node_));
  node_.kill();
  node_.start();
  const Json pods = node_.ask("pod.list").result;
  ASSERT_EQ(pods.size(), 1U);
  EXPECT_EQ(pods[0]["addresses"][0].get<std::string>() + "/32", before);
  EXPECT_EQ(node_.dataplane().ports().size(), 2U);
  EXPECT_TRUE(pod_.has_interface());
  EXPECT_FALSE(pod_.del(node_).error);
  EXPECT_FALSE(pod_.has_interface());
  EXPECT_EQ(leases(), 0U);
}

TEST_F(DaemonRestartTest, LeavesPodsAloneWhenItStops) {
  node_.start();
  ASSERT_FALSE(pod_.add(node_).error);
  const TestNode::Ended ended = node_.terminate();
  EXPECT_EQ(ended.status, 0) << ended.output;
  EXPECT_TRUE(pod_.has_interface());
  EXPECT_EQ(node_.dataplane().ports().size(), 2U);
  EXPECT_NE(access(node_.socket().c_str(), F_OK), 0);
}

TEST_F(DaemonRestartTest, ReplaysToANewDataplaneWithTapsOpenedAnew) {
  node_.start();
  ASSERT_FALSE(pod_.add(node_).error);
  const uint64_t key = node_.dataplane().ports().rbegin()->first;
  const uint64_t replays = node_.dataplane().replays();
  node_.dataplane().kill();
  node_.dataplane().start();
  ASSERT_TRUE(node_.dataplane().wait([&] { return node_.dataplane().replays() > replays; }));
  EXPECT_TRUE(node_.dataplane().has_tap(key));
  EXPECT_EQ(node_.dataplane().ports().size(), 2U);
  EXPECT_EQ(node_.dataplane().routes().size(), 2U);
}

TEST_F(DaemonRestartTest, WithoutADataplaneAddWaitsAndDelWorks) {
  node_.start();
  ASSERT_FALSE(pod_.add(node_).error);
  node_.dataplane().kill();
  TestPod other("pod-b");
  EXPECT_EQ(other.add(node_).error->code, cni::Code::try_later);
  EXPECT_FALSE(other.has_interface());
  const cni::Reply status = other.verb(node_, "status", {{"cniVersion", "1.1.0"}});
  EXPECT_EQ(status.error->code, cni::Code::unavailable);
  EXPECT_FALSE(pod_.del(node_).error);
  EXPECT_FALSE(pod_.has_interface());
  EXPECT_EQ(leases(), 0U);
  node_.dataplane().start();
  ASSERT_TRUE(node_.dataplane().wait([&] { return node_.dataplane().routes().size() == 2; }));
  EXPECT_EQ(node_.dataplane().ports().size(), 1U);
  EXPECT_FALSE(other.add(node_).error);
}

TEST_F(DaemonRestartTest, StatusAnswersWhileTheDataplaneHangs) {
  node_.start();
  node_.dataplane().set_hang(true);
  const auto begin = std::chrono::steady_clock::now();
  while (!pod_.verb(node_, "status", {{"cniVersion", "1.1.0"}}).error) {
    ASSERT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
  }
  const auto asked = std::chrono::steady_clock::now();
  EXPECT_TRUE(pod_.verb(node_, "status", {{"cniVersion", "1.1.0"}}).error);
  EXPECT_LT(std::chrono::steady_clock::now() - asked, std::chrono::seconds(2));
  node_.dataplane().set_hang(false);
}

TEST_F(DaemonRestartTest, FinishesOffAnAddThatAKillCut) {
  node_.start();
  node_.dataplane().set_hang(true);
  auto adding = std::async(std::launch::async, [&] { return pod_.add(node_); });
  ASSERT_TRUE(node_.dataplane().wait([&] { return pod_.has_interface(); }));
  node_.kill();
  EXPECT_TRUE(adding.get().error);
  node_.dataplane().set_hang(false);
  node_.start();
  EXPECT_FALSE(pod_.has_interface());
  EXPECT_EQ(node_.ask("pod.list").result, Json::array());
  EXPECT_EQ(leases(), 0U);
  EXPECT_EQ(node_.dataplane().ports().size(), 1U);
  EXPECT_FALSE(pod_.add(node_).error);
}

TEST_F(DaemonRestartTest, ADelThatOvertakesItsAddWins) {
  node_.start();
  node_.dataplane().set_hang(true);
  auto adding = std::async(std::launch::async, [&] { return pod_.add(node_); });
  ASSERT_TRUE(node_.dataplane().wait([&] { return pod_.has_interface(); }));
  auto deleting = std::async(std::launch::async, [&] { return pod_.del(node_); });
  node_.dataplane().set_hang(false);
  adding.get();
  EXPECT_FALSE(deleting.get().error);
  EXPECT_FALSE(pod_.has_interface());
  EXPECT_EQ(leases(), 0U);
}

TEST_F(DaemonRestartTest, CarriesOutDelsThatCameMeanwhile) {
  node_.start();
  ASSERT_FALSE(pod_.add(node_).error);
  node_.kill();
  const auto request = cni::parse_request(cni::Command::del, pod_.params({}));
  ASSERT_TRUE(request);
  ASSERT_TRUE(cni::write_spool(node_.state_dir() + "/spool", "weir", *request));
  node_.start();
  EXPECT_FALSE(pod_.has_interface());
  EXPECT_EQ(leases(), 0U);
  EXPECT_TRUE(std::filesystem::is_empty(node_.state_dir() + "/spool"));
}

TEST_F(DaemonRestartTest, SpooledDelsComeBeforeTheNextAdd) {
  node_.start();
  ASSERT_FALSE(pod_.add(node_).error);
  const auto request = cni::parse_request(cni::Command::del, pod_.params({}));
  ASSERT_TRUE(cni::write_spool(node_.state_dir() + "/spool", "weir", *request));
  TestPod other("pod-b");
  EXPECT_FALSE(other.add(node_).error);
  EXPECT_FALSE(pod_.has_interface());
  EXPECT_EQ(leases(), 2U);  // one of each family
}

TEST_F(DaemonRestartTest, HandsOverAHostInterfaceThatWasMadeAnew) {
  node_.start();
  const uint64_t key = node_.dataplane().ports().begin()->first;
  const uint64_t taps = node_.dataplane().taps_taken(key);
  node_.kill();
  const Status removed = node_.netns().run([&]() -> Status {
    Result<Netlink> netlink = Netlink::open();
    return Netlink::delete_link((*netlink->find_link("weir0"))->index);
  });
  ASSERT_TRUE(removed);
  node_.start();
  EXPECT_EQ(node_.dataplane().taps_taken(key), taps + 1);
  node_.kill();
  node_.start();
  EXPECT_EQ(node_.dataplane().taps_taken(key), taps + 1);  // one in use is left alone
}

TEST_F(DaemonRestartTest, StartsOverADamagedStore) {
  node_.start();
  ASSERT_FALSE(pod_.add(node_).error);
  node_.kill();
  const std::string store = node_.state_dir() + "/weir.db";
  std::filesystem::remove(store + "-wal");  // it would repair the file
  std::ofstream(store, std::ios::trunc) << std::string(8192, 'x');
  node_.start();
  EXPECT_EQ(node_.ask("pod.list").result, Json::array());
  EXPECT_FALSE(pod_.del(node_).error);
  TestPod other("pod-b");
  EXPECT_FALSE(other.add(node_).error);
}

TEST_F(DaemonRestartTest, ReleasesPodsWhoseNamespaceIsGone) {
  node_.start();
  auto gone = std::make_unique<TestPod>("pod-b");
  ASSERT_FALSE(pod_.add(node_).error);
  ASSERT_FALSE(gone->add(node_).error);
  node_.kill();
  gone.reset();
  node_.start();
  EXPECT_EQ(node_.ask("pod.list").result.size(), 1U);
  EXPECT_EQ(node_.dataplane().ports().size(), 2U);
}

}  // namespace
}  // namespace weir::control
