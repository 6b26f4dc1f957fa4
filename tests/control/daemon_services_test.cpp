// Services through weir-control as a process: its sources, what the dataplane gets, restarts.
#include <gmock/gmock.h>
#include <signal.h>

#include <fstream>

#include "tests/control/control_process.h"

namespace weir::control {
namespace {

using cni::Json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Optional;
using testing::SizeIs;

constexpr char kVip[] = "10.96.0.10:80/6";

Json compact(const std::vector<std::string>& backends, const Json& more = Json::object()) {
  Json json{{"name", "web"}, {"vips", {"10.96.0.10"}}, {"ports", {"80"}}, {"backends", backends}};
  json.update(more);
  return json;
}

class ServiceDaemonTest : public testing::Test {
 protected:
  void SetUp() override { WEIR_NEEDS_NAMESPACES(); }

  cni::Reply apply(const Json& document) {
    return node_.ask("service.apply", {{"text", document.dump()}});
  }
  bool gets(const std::vector<std::string>& backends, const char* frontend = kVip) {
    return node_.dataplane().wait([&] { return node_.dataplane().backends(frontend) == backends; });
  }

  TestNode node_;
};

TEST_F(ServiceDaemonTest, AnAppliedServiceIsInTheDataplaneWhenTheAnswerComes) {
  node_.start();
  const cni::Reply reply = apply(compact({"10.244.0.5", "10.244.0.6"}));
  ASSERT_FALSE(reply.error) << reply.error->msg;
  EXPECT_EQ(reply.result["sent"], true);
  EXPECT_THAT(node_.dataplane().backends(kVip),
              Optional(ElementsAre("10.244.0.5:80", "10.244.0.6:80")));
  const auto services = node_.dataplane().services();
  EXPECT_EQ(to_string(services.settings.masquerade4), "10.244.0.1");
  EXPECT_EQ(to_string(services.settings.masquerade6), "fd00:10:244::1");
  EXPECT_THAT(services.sets.at(api::kInsideSet), testing::Contains("10.244.0.0/24"));
}

TEST_F(ServiceDaemonTest, ABadDocumentChangesNothing) {
  node_.start();
  ASSERT_FALSE(apply(compact({"10.244.0.5"})).error);
  const Json both = Json::array({compact({"10.244.0.7"}), compact({"x"}, {{"name", "b"}})});
  const cni::Reply reply = apply(both);
  ASSERT_TRUE(reply.error);
  EXPECT_THAT(reply.error->msg, HasSubstr("EndpointSlice default/b-compact-4: endpoints[0]"));
  EXPECT_EQ(static_cast<int>(reply.error->code), 7);
  EXPECT_TRUE(gets({"10.244.0.5:80"}));
}

TEST_F(ServiceDaemonTest, ServicesSurviveARestartOfControlUntouched) {
  node_.start();
  ASSERT_FALSE(apply(compact({"10.244.0.5"})).error);
  const auto before = node_.dataplane().services();
  node_.kill();
  node_.start();
  const auto after = node_.dataplane().services();
  EXPECT_EQ(after.frontends.at(kVip).group_inside, before.frontends.at(kVip).group_inside);
  EXPECT_THAT(node_.dataplane().backends(kVip), Optional(ElementsAre("10.244.0.5:80")));
}

TEST_F(ServiceDaemonTest, ADataplaneThatRestartsGetsThemAll) {
  node_.start();
  ASSERT_FALSE(apply(compact({"10.244.0.5"})).error);
  node_.dataplane().kill();
  const cni::Reply kept = apply(compact({"10.244.0.6"}));
  ASSERT_FALSE(kept.error);
  EXPECT_EQ(kept.result["sent"], false);
  node_.dataplane().start();
  EXPECT_TRUE(gets({"10.244.0.6:80"}));
}

TEST_F(ServiceDaemonTest, DeletingForgetsTheServiceForGood) {
  node_.start();
  ASSERT_FALSE(apply(compact({"10.244.0.5"})).error);
  ASSERT_FALSE(node_.ask("service.delete", {{"name", "web"}}).error);
  EXPECT_THAT(node_.dataplane().services().frontends, IsEmpty());
  EXPECT_TRUE(node_.ask("service.delete", {{"name", "web"}}).error);
  node_.kill();
  node_.start();
  EXPECT_EQ(node_.ask("service.list").result, Json::array());
}

TEST_F(ServiceDaemonTest, TheDirectoryIsReadAtStartAndOnSighup) {
  const std::string directory = node_.run_dir() + "/services";
  std::filesystem::create_directory(directory);
  const auto write = [&](const char* name, const std::string& text) {
    std::ofstream(directory + "/" + name) << text;
  };
  write("web.json", compact({"10.244.0.5"}).dump());
  write("bad.json", "{");
  write("note.txt", "not a service");
  node_.configure({{"services", {{"directory", directory}}}});
  node_.start();
  EXPECT_TRUE(gets({"10.244.0.5:80"}));
  EXPECT_THAT(node_.log(), HasSubstr("bad.json: cannot decode JSON"));

  write("web.json", compact({"10.244.0.6"}).dump());
  node_.signal(SIGHUP);  // bad.json is still there: nothing changes
  EXPECT_TRUE(node_.dataplane().wait(
      [&] { return node_.log().find("what it held before stays") != std::string::npos; }));
  EXPECT_TRUE(gets({"10.244.0.5:80"}));

  std::filesystem::remove(directory + "/bad.json");
  node_.signal(SIGHUP);
  EXPECT_TRUE(gets({"10.244.0.6:80"}));
  const cni::Reply refused = node_.ask("service.delete", {{"name", "web"}});
  ASSERT_TRUE(refused.error);
  EXPECT_THAT(refused.error->msg, HasSubstr("comes from the directory"));
}

TEST_F(ServiceDaemonTest, PodsJoinAndLeaveByTheirLabels) {
  node_.start();
  ASSERT_FALSE(apply(compact({}, {{"selector", {{"app", "web"}}}})).error);
  TestPod by_argument("pod-a");
  by_argument.args = "WEIR_LABELS=app:web,tier:front";
  const cni::Reply a = by_argument.add(node_);
  ASSERT_FALSE(a.error) << a.error->msg;
  TestPod by_annotation("pod-b");
  const cni::Reply b = by_annotation.add(
      node_,
      {{"runtimeConfig", {{"io.kubernetes.cri.pod-annotations", {{"weir/labels", "app=web"}}}}}});
  ASSERT_FALSE(b.error) << b.error->msg;
  EXPECT_TRUE(node_.dataplane().wait([&] {
    const auto backends = node_.dataplane().backends(kVip);
    return backends && backends->size() == 2;
  }));
  node_.kill();
  node_.start();
  EXPECT_THAT(node_.dataplane().backends(kVip), Optional(SizeIs(2)));
  ASSERT_FALSE(by_argument.del(node_).error);
  const std::string left = b.result["stdout"]["ips"][0]["address"].get<std::string>();
  EXPECT_TRUE(gets({left.substr(0, left.find('/')) + ":80"}));
}

TEST_F(ServiceDaemonTest, ShowAndExplainSayWhoIsUsed) {
  node_.configure({{"node", {{"name", "here"}}}});
  node_.start();
  Json document = compact({"10.244.0.5"}, {{"external_policy", "local"}, {"ports", {"80@30080"}}});
  document["backends"].push_back({{"address", "10.244.7.7"}, {"node", "there"}});
  document["backends"].push_back({{"address", "10.244.0.9"}, {"ready", false}});
  ASSERT_FALSE(apply(document).error);
  const Json list = node_.ask("service.list").result;
  ASSERT_EQ(list.size(), 1U);
  EXPECT_EQ(list[0]["name"], "default/web");
  EXPECT_EQ(list[0]["endpoints"], "2/3");
  const Json shown = node_.ask("service.show", {{"name", "web"}}).result;
  EXPECT_EQ(shown["external_policy"], "Local");
  EXPECT_GE(shown["frontends"].size(), 2U);
  const Json explained = node_.ask("service.explain", {{"name", "web"}}).result;
  const Json endpoints = explained["ports"][0]["endpoints"];
  ASSERT_EQ(endpoints.size(), 3U);
  EXPECT_EQ(endpoints[0]["cluster"], "used: ready");
  EXPECT_EQ(endpoints[1]["cluster"], "not ready");
  EXPECT_EQ(endpoints[2]["local_policy"], "on another node");
}

// Many changes become few messages: the dataplane sees the last state soon.
TEST_F(ServiceDaemonTest, AThousandChangesDoNotPileUp) {
  constexpr int kChanges = 1000;
  node_.start();
  auto client =
      cni::ControlClient::connect(node_.socket(), cni::Clock::now() + std::chrono::seconds(60));
  ASSERT_TRUE(client);
  std::vector<std::string> backends;
  for (int i = 0; i < 100; ++i) backends.push_back("10.244.0." + std::to_string(10 + i));
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < kChanges; ++i) {
    backends[0] = "10.244.1." + std::to_string(1 + i % 250);
    ASSERT_FALSE(apply(compact(backends)).error);
  }
  const auto took = std::chrono::steady_clock::now() - begin;
  RecordProperty("ms", static_cast<int>(took / std::chrono::milliseconds(1)));
  EXPECT_EQ(node_.dataplane().backends(kVip)->size(), 100U);
}

}  // namespace
}  // namespace weir::control
