#include <gtest/gtest.h>

#include <filesystem>

#include "control/dataplane/session.h"
#include "tests/control/loop_thread.h"
#include "tests/control/table_dataplane.h"

namespace weir::control {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

api::PortConfig memif_port(uint64_t key) {
  api::PortConfig config{.key = key, .kind = api::PortKind::memif, .mtu = 1500};
  return config;
}

api::Route default_route(uint64_t key) {
  return {.prefix = *parse_prefix("0.0.0.0/0"), .kind = api::RouteKind::port, .port_key = key};
}

class SessionTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_ =
        std::filesystem::temp_directory_path() / ("weir-session-" + std::to_string(getpid()));
    std::filesystem::create_directory(directory_);
    fake_ = std::make_unique<TableDataplane>(directory_ / "dataplane.sock");
    plan_.ports = {{.config = memif_port(5)}};
    plan_.routes = {default_route(5)};
  }
  void TearDown() override {
    loop_.run([this] { session_.reset(); });
    fake_.reset();
    std::filesystem::remove_all(directory_);
  }

  void start() {
    SessionOptions options{.socket = directory_ / "dataplane.sock"};
    options.call_timeout = milliseconds(300);
    options.first_pause = milliseconds(5);
    options.longest_pause = milliseconds(20);
    options.ping_interval = milliseconds(50);
    SessionEvents events;
    events.plan = [this]() -> Result<ReplayPlan> {
      ++plan_.generation;
      return plan_;
    };
    events.replayed = [this](const ReplayReport& report) {
      report_ = report;
      ++reports_;
    };
    session_ = std::make_unique<DataplaneSession>(loop_.loop, options, events);
    session_->start();
  }

  bool wait_ready(bool ready) {
    return fake_->wait([&] { return loop_.run([&] { return session_->ready(); }) == ready; });
  }

  Status set(uint64_t key) {
    return loop_
        .start<Status>([this, key]() -> Task<Status> {
          const auto ask = [key](api::Client& client) { return client.port_set(memif_port(key)); };
          const auto done = co_await session_->call<Result<api::PortState>>(ask);
          co_return done ? Status{} : Status{done.error()};
        })
        .get();
  }

  std::filesystem::path directory_;
  std::unique_ptr<TableDataplane> fake_;
  LoopThread loop_;
  ReplayPlan plan_;
  ReplayReport report_;
  std::atomic<int> reports_ = 0;
  std::unique_ptr<DataplaneSession> session_;
};

TEST_F(SessionTest, ReplaysBeforeItTakesCalls) {
  start();
  EXPECT_TRUE(wait_ready(true));
  EXPECT_EQ(fake_->ports().size(), 1U);
  EXPECT_EQ(fake_->routes().size(), 1U);
  EXPECT_TRUE(set(6));
  EXPECT_EQ(fake_->ports().size(), 2U);
  EXPECT_EQ(loop_.run([&] { return report_.ports; }), 1U);
}

TEST_F(SessionTest, CallsFailAtOnceWithoutADataplane) {
  fake_->kill();
  start();
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(set(6).error().code, ErrorCode::unavailable);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(200));
}

TEST_F(SessionTest, ReplaysToARestartedDataplane) {
  start();
  ASSERT_TRUE(wait_ready(true));
  fake_->kill();
  EXPECT_TRUE(wait_ready(false));
  fake_->start();
  EXPECT_TRUE(wait_ready(true));
  EXPECT_EQ(fake_->ports().count(5), 1U);
  EXPECT_EQ(fake_->replays(), 2U);
}

TEST_F(SessionTest, SweepsWhatThePlanDoesNotName) {
  start();
  ASSERT_TRUE(wait_ready(true));
  ASSERT_TRUE(set(6));
  fake_->drop_connection();
  EXPECT_TRUE(fake_->wait([&] { return reports_ == 2; }));
  EXPECT_EQ(fake_->ports().count(6), 0U);
  EXPECT_EQ(fake_->ports().count(5), 1U);
  EXPECT_EQ(loop_.run([&] { return report_.ports_swept; }), 1U);
}

TEST_F(SessionTest, AHungDataplaneDoesNotHoldTheLoop) {
  start();
  ASSERT_TRUE(wait_ready(true));
  fake_->set_hang(true);
  auto call = loop_.start<Status>([this]() -> Task<Status> {
    const auto ask = [](api::Client& client) { return client.port_delete(1); };
    co_return co_await session_->call<Status>(ask);
  });
  EXPECT_EQ(loop_.run([] { return 3; }), 3);  // the loop answers meanwhile
  EXPECT_EQ(call.get().error().code, ErrorCode::timeout);
  EXPECT_TRUE(wait_ready(false));
  fake_->set_hang(false);
  EXPECT_TRUE(wait_ready(true));
}

TEST_F(SessionTest, FindsOutByItselfThatTheDataplaneHangs) {
  start();
  ASSERT_TRUE(wait_ready(true));
  fake_->set_hang(true);
  EXPECT_TRUE(wait_ready(false));
  fake_->set_hang(false);
}

TEST_F(SessionTest, ARefusedPortDoesNotStopTheReplay) {
  plan_.ports.push_back({.config = memif_port(0)});
  plan_.ports.push_back({.config = memif_port(8)});
  int asked = 0;
  fake_->set_refuse([&](api::MessageType type) -> std::optional<Error> {
    if (type != api::MessageType::port_set || ++asked != 2) return std::nullopt;
    return Error{ErrorCode::invalid_argument, "no"};
  });
  start();
  ASSERT_TRUE(fake_->wait([&] { return reports_ == 1; }));
  const ReplayReport report = loop_.run([&] { return report_; });
  ASSERT_EQ(report.failed_ports.size(), 1U);
  EXPECT_EQ(report.failed_ports[0].port_key, 0U);
  EXPECT_EQ(fake_->ports().size(), 2U);
}

TEST_F(SessionTest, ARefusedRouteDoesNotStopTheReplay) {
  plan_.routes.push_back(
      {.prefix = *parse_prefix("10.0.0.0/8"), .kind = api::RouteKind::blackhole});
  int asked = 0;
  fake_->set_refuse([&](api::MessageType type) -> std::optional<Error> {
    // The batch, then the first one alone.
    if (type != api::MessageType::route_set || ++asked > 2) return std::nullopt;
    return Error{ErrorCode::limit, "no"};
  });
  start();
  ASSERT_TRUE(fake_->wait([&] { return reports_ == 1; }));
  EXPECT_EQ(loop_.run([&] { return report_.routes.failed.size(); }), 1U);
  EXPECT_EQ(fake_->routes().size(), 1U);
}

TEST_F(SessionTest, StopsCleanly) {
  start();
  ASSERT_TRUE(wait_ready(true));
  EXPECT_TRUE(set(6));
  loop_.run([this] { session_->stop(); });  // also while a replay may be going on
  EXPECT_EQ(set(7).error().code, ErrorCode::unavailable);
}

}  // namespace
}  // namespace weir::control
