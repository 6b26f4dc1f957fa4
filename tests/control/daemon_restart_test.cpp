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

// Ways to lose a store.
using Damage = std::function<void(const std::filesystem::path& state_dir)>;

void overwrite(const std::filesystem::path& state_dir) {
  std::filesystem::remove(state_dir / "weir.db-wal");  // it would repair the file
  std::ofstream(state_dir / "weir.db", std::ios::trunc) << std::string(8192, 'x');
}
void truncate(const std::filesystem::path& state_dir) {
  std::filesystem::remove(state_dir / "weir.db-wal");
  std::ofstream(state_dir / "weir.db", std::ios::trunc);
}
void remove_all(const std::filesystem::path& state_dir) { std::filesystem::remove_all(state_dir); }

class LostStoreTest : public DaemonRestartTest, public testing::WithParamInterface<Damage> {
 protected:
  Json pods() { return node_.ask("pod.list").result; }

  TestPod memif_{"pod-m"};
  TestPod other_{"pod-b"};
};

TEST_P(LostStoreTest, PodsThatAreAliveAreAdopted) {
  node_.start();
  const std::string first = address(pod_.add(node_));
  ASSERT_FALSE(memif_.add(node_, {{"port", "memif"}}).error);
  const Json before = pods();
  const auto ports = node_.dataplane().ports();
  ASSERT_EQ(ports.size(), 3U);
  node_.kill();
  GetParam()(node_.state_dir());
  node_.start();
  EXPECT_EQ(pods(), before);
  EXPECT_TRUE(pod_.has_interface());
  EXPECT_EQ(node_.dataplane().ports().size(), 3U);
  EXPECT_EQ(node_.dataplane().ports().begin()->first, ports.begin()->first);  // the node's own
  EXPECT_TRUE(pod_.add(node_).error) << "it is there already";
  EXPECT_NE(address(other_.add(node_)), first);
  for (const TestPod* pod : {&pod_, &memif_, &other_}) EXPECT_FALSE(pod->del(node_).error);
  EXPECT_EQ(pods(), Json::array());
  EXPECT_EQ(leases(), 0U);
  EXPECT_FALSE(pod_.has_interface());
  EXPECT_EQ(node_.dataplane().ports().size(), 1U);
}

TEST_P(LostStoreTest, PodsThatDiedMeanwhileAreNot) {
  node_.start();
  auto gone = std::make_unique<TestPod>("pod-g");
  ASSERT_FALSE(gone->add(node_).error);
  ASSERT_FALSE(pod_.add(node_).error);
  ASSERT_FALSE(pod_.del(node_).error);
  node_.kill();
  gone.reset();
  GetParam()(node_.state_dir());
  node_.start();
  EXPECT_EQ(pods(), Json::array());
  EXPECT_EQ(leases(), 0U);
  EXPECT_EQ(node_.dataplane().ports().size(), 1U);
}

TEST_P(LostStoreTest, RecordsOfAnotherBootOrNoneAtAllAreNoObstacle) {
  node_.start();
  ASSERT_FALSE(pod_.add(node_).error);
  node_.kill();
  for (const auto& file : std::filesystem::directory_iterator(node_.run_dir() + "/attachments")) {
    std::ofstream(file.path(), std::ios::trunc) << R"({"boot_id": "older", "id": 7)";
  }
  GetParam()(node_.state_dir());
  node_.start();
  EXPECT_EQ(pods(), Json::array());
  EXPECT_FALSE(pod_.del(node_).error);
  EXPECT_FALSE(other_.add(node_).error);
}

INSTANTIATE_TEST_SUITE_P(Ways, LostStoreTest, testing::Values(overwrite, truncate, remove_all));

TEST_F(DaemonRestartTest, TheBudgetOfPodsIsKept) {
  node_.configure({{"network", {{"max_pods", 1}}}});
  node_.start();
  const Json status{{"cniVersion", "1.1.0"}};
  EXPECT_FALSE(pod_.verb(node_, "status", status).error);
  ASSERT_FALSE(pod_.add(node_).error);
  TestPod other("pod-b");
  EXPECT_EQ(other.add(node_).error->code, cni::Code::try_later);
  EXPECT_FALSE(other.has_interface());
  EXPECT_EQ(other.verb(node_, "status", status).error->code, cni::Code::unavailable);
  EXPECT_EQ(node_.ask("pod.list").result.size(), 1U);
  ASSERT_FALSE(pod_.del(node_).error);
  EXPECT_FALSE(pod_.verb(node_, "status", status).error);
  EXPECT_FALSE(other.add(node_).error);
}

TEST_F(DaemonRestartTest, ADataplaneWithoutRoomMeansTryLater) {
  node_.start();
  node_.dataplane().set_refuse([](api::MessageType type) -> std::optional<Error> {
    if (type != api::MessageType::port_set) return std::nullopt;
    return Error{ErrorCode::limit, "all port numbers are in use"};
  });
  EXPECT_EQ(pod_.add(node_).error->code, cni::Code::try_later);
  EXPECT_FALSE(pod_.has_interface());
  EXPECT_EQ(leases(), 0U);
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
