// The dataplane API over a real socket: well-behaved and hostile peers.
#include "dataplane/runtime/api_server.h"

#include <gtest/gtest.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "dataplane/api/client.h"

namespace weir::dataplane {
namespace {

// A dataplane that serves in a thread of its own; no worker runs, so every change is
// in force at once.
class ApiServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "weir-api-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    path_ = directory_ + "/dataplane.sock";
    loop_ = *EventLoop::create();
    dataplane_ = *Dataplane::make({.cores = {0}, .hugepages = false}, *loop_);
    auto server = ApiServer::listen(path_, *dataplane_, *loop_);
    ASSERT_TRUE(server) << server.error().text;
    server_ = *std::move(server);
    thread_ = std::thread([this] {
      while (!stop_.load()) loop_->run_once(std::chrono::milliseconds(5));
    });
  }
  void TearDown() override {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
    server_.reset();
    dataplane_.reset();
    unlink((path_ + ".lock").c_str());
    rmdir(directory_.c_str());
  }

  api::Client client() {
    auto client = api::Client::connect(path_, "test");
    EXPECT_TRUE(client) << client.error().text;
    return *std::move(client);
  }
  api::Fd raw_socket() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path_.c_str(), path_.size() + 1);
    api::Fd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    const timeval limit{.tv_sec = 10, .tv_usec = 0};
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return fd;
  }
  // A memif port needs no descriptor and no peer.
  api::PortConfig memif_config(uint64_t key, std::string_view address) {
    api::PortConfig config;
    config.key = key;
    config.kind = api::PortKind::memif;
    config.mtu = 1500;
    config.mac = *parse_mac("02:00:00:00:00:0a");
    api::set_text(config.socket_path, directory_ + "/" + std::to_string(key) + ".sock");
    config.socket_uid = geteuid();
    config.socket_gid = getegid();
    config.gateway4 = *parse_address("10.1.0.1");
    config.addresses[0] = *parse_address(address);
    config.address_count = 1;
    return config;
  }

  std::string directory_;
  std::string path_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<Dataplane> dataplane_;
  std::unique_ptr<ApiServer> server_;
  std::thread thread_;
  std::atomic<bool> stop_{false};
};

TEST_F(ApiServerTest, ServicesAreSetListedAndSweptByAReplay) {
  api::Client client = this->client();
  const api::Backend backend{.group = 5,
                             .address = *parse_address("10.1.0.3"),
                             .port = 8080,
                             .flags = api::kListFirst | api::kListLast};
  api::Frontend frontend{
      .key = {.address = *parse_address("10.96.0.1"), .port = 80, .protocol = 6},
      .kind = api::FrontendKind::cluster_ip,
      .group_inside = 5,
      .group_outside = 5};
  ASSERT_TRUE(client.replay_begin(1));
  EXPECT_EQ(client.frontend_set({&frontend, 1}).error().code, ErrorCode::not_found);
  ASSERT_TRUE(client.group_set({&backend, 1}));
  frontend.name.fill('x');
  ASSERT_TRUE(client.frontend_set({&frontend, 1}));
  EXPECT_FALSE(client.group_delete(std::vector<api::ListKey>{{5}}));
  ASSERT_TRUE(client.replay_end(1));
  const auto frontends = client.frontend_list();
  ASSERT_TRUE(frontends);
  ASSERT_EQ(frontends->size(), 1U);
  EXPECT_EQ(api::get_text((*frontends)[0].config.name).size(), frontend.name.size() - 1);
  EXPECT_EQ((*frontends)[0].backends_inside, 1U);
  EXPECT_EQ(client.group_list(5)->size(), 1U);
  EXPECT_EQ(client.route_lookup(*parse_address("10.96.0.1"))->kind, api::RouteKind::service);
  EXPECT_TRUE(client.service_settings({.masquerade4 = *parse_address("10.1.0.1")}));
  EXPECT_FALSE(client.service_settings({.masquerade4 = *parse_address("fd00::1")}));
  EXPECT_EQ(client.connection_stats()->capacity, 1U << 20);
  EXPECT_TRUE(client.connection_list({})->empty());

  ASSERT_TRUE(client.replay_begin(2));
  const auto swept = client.replay_end(2);
  ASSERT_TRUE(swept);
  EXPECT_EQ(swept->frontends_swept, 1U);
  EXPECT_EQ(swept->lists_swept, 1U);
  EXPECT_TRUE(client.frontend_list()->empty());
  EXPECT_EQ(client.route_lookup(*parse_address("10.96.0.1")).error().code, ErrorCode::not_found);
}

TEST_F(ApiServerTest, TellsWhoItIs) {
  api::Client one = client();
  EXPECT_EQ(api::get_text(one.peer().name), "weir-dataplane");
  EXPECT_EQ(one.status()->instance, one.peer().instance);
  EXPECT_EQ(one.status()->workers, 1U);
  EXPECT_EQ(one.drop_list()->size(), kDropCount);
  EXPECT_EQ(one.worker_list()->size(), 1U);
}

TEST_F(ApiServerTest, SetsListsAndDeletesPortsByKey) {
  api::Client one = client();
  const auto state = one.port_set(memif_config(7, "10.1.0.5"));
  ASSERT_TRUE(state) << state.error().text;
  EXPECT_EQ(state->config.key, 7U);
  EXPECT_TRUE(one.port_set(memif_config(7, "10.1.0.5"))) << "setting again is idempotent";
  EXPECT_EQ(one.port_list()->size(), 1U);
  const auto route = one.route_lookup(*parse_address("10.1.0.5"));
  ASSERT_TRUE(route);
  EXPECT_EQ(route->port_key, 7U);
  EXPECT_EQ(route->flags, api::kRouteLease);
  EXPECT_TRUE(one.port_delete(7));
  EXPECT_TRUE(one.port_delete(7)) << "an unknown key is success";
  EXPECT_TRUE(one.port_list()->empty());
  EXPECT_EQ(one.route_lookup(*parse_address("10.1.0.5")).error().code, ErrorCode::not_found);
}

TEST_F(ApiServerTest, RefusesPortsThatCannotWorkAndKeepsTheRest) {
  api::Client one = client();
  ASSERT_TRUE(one.port_set(memif_config(1, "10.1.0.5")));
  EXPECT_EQ(one.port_set(memif_config(2, "10.1.0.5")).error().code, ErrorCode::exists);
  EXPECT_EQ(one.port_set(memif_config(0, "10.1.0.6")).error().code, ErrorCode::invalid_argument);
  auto config = memif_config(3, "10.1.0.6");
  config.address_count = 200;
  EXPECT_EQ(one.port_set(config).error().code, ErrorCode::limit);
  config = memif_config(3, "10.1.0.6");
  config.mtu = 20;
  EXPECT_EQ(one.port_set(config).error().code, ErrorCode::invalid_argument);
  config = memif_config(3, "10.1.0.6");
  config.kind = api::PortKind::kernel;
  EXPECT_EQ(one.port_set(config).error().code, ErrorCode::not_found) << "a kernel port needs its tap";
  const api::Fd no_tap(open("/dev/null", O_RDWR | O_CLOEXEC));
  EXPECT_EQ(one.port_set(config, no_tap.get()).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(one.port_list()->size(), 1U);
}

TEST_F(ApiServerTest, ReplayKeepsWhatItNamesAndSweepsTheRest) {
  api::Client one = client();
  ASSERT_TRUE(one.port_set(memif_config(1, "10.1.0.5")));
  ASSERT_TRUE(one.port_set(memif_config(2, "10.1.0.6")));
  ASSERT_TRUE(one.replay_begin(9));
  ASSERT_TRUE(one.port_set(memif_config(2, "10.1.0.6")));
  const auto done = one.replay_end(9);
  ASSERT_TRUE(done);
  EXPECT_EQ(done->ports_swept, 1U);
  EXPECT_EQ(one.port_list()->front().config.key, 2U);
  EXPECT_EQ(one.status()->generation, 9U);
  EXPECT_FALSE(one.replay_end(10)) << "a replay that was not begun sweeps nothing";
  EXPECT_EQ(one.port_list()->size(), 1U);
}

TEST_F(ApiServerTest, ListsMoreRoutesThanOneMessageHolds) {
  api::Client one = client();
  std::vector<api::Route> routes(5000);
  for (uint32_t i = 0; i < routes.size(); ++i) {
    routes[i].prefix = make_prefix(ip4_address(0x14000000 + i * 256), 24);
    routes[i].kind = api::RouteKind::blackhole;
  }
  ASSERT_TRUE(one.route_set(routes));
  EXPECT_EQ(one.route_list()->size(), routes.size());
  ASSERT_TRUE(one.route_delete(routes));
  EXPECT_EQ(one.route_list()->size(), 0U);
}

TEST_F(ApiServerTest, AnOldVersionIsToldSo) {
  const api::Fd peer = raw_socket();
  api::Message hello(api::MessageType::hello);
  hello.add(api::Hello{});
  hello.header.version = 99;
  ASSERT_TRUE(api::send_message(peer.get(), hello));
  const auto reply = api::receive_message(peer.get());
  ASSERT_TRUE(reply) << reply.error().text;
  EXPECT_EQ(reply->status().error().code, ErrorCode::version);
}

TEST_F(ApiServerTest, RequestsBeforeHelloAreRefused) {
  const api::Fd peer = raw_socket();
  ASSERT_TRUE(api::send_message(peer.get(), api::Message(api::MessageType::port_list)));
  const auto reply = api::receive_message(peer.get());
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status().error().code, ErrorCode::invalid_argument);
}

TEST_F(ApiServerTest, GarbageEndsOnlyItsOwnConnection) {
  api::Client good = client();
  for (const std::string& garbage : {std::string("x"), std::string(27, 'y'), std::string(50000, 'z')}) {
    const api::Fd peer = raw_socket();
    ASSERT_EQ(send(peer.get(), garbage.data(), garbage.size(), MSG_NOSIGNAL), std::ssize(garbage));
    char byte = 0;
    EXPECT_EQ(recv(peer.get(), &byte, 1, 0), 0) << "the connection is closed";
  }
  api::Message lying(api::MessageType::hello);
  lying.header.count = 1000000;
  lying.header.record_size = 4;
  const api::Fd peer = raw_socket();
  ASSERT_TRUE(api::send_message(peer.get(), lying));
  EXPECT_EQ(api::receive_message(peer.get()).error().code, ErrorCode::unavailable);
  EXPECT_TRUE(good.status());
}

TEST_F(ApiServerTest, APeerThatDoesNotReadHoldsNobodyUp) {
  const api::Fd lazy = raw_socket();
  api::Message hello(api::MessageType::hello);
  hello.add(api::Hello{});
  ASSERT_TRUE(api::send_message(lazy.get(), hello));
  for (int i = 0; i < 200; ++i) {
    const api::Message request(api::MessageType::drop_list);
    if (send(lazy.get(), &request.header, sizeof request.header, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) break;
  }
  api::Client good = client();
  EXPECT_TRUE(good.status());
}

TEST_F(ApiServerTest, UnknownRequestsAndRecordsOfOtherSizesAreTaken) {
  const api::Fd peer = raw_socket();
  api::Message hello(api::MessageType::hello);
  hello.header.count = 1;
  hello.header.record_size = 200;  // a newer, longer Hello
  hello.body.assign(200, '\0');
  ASSERT_TRUE(api::send_message(peer.get(), hello));
  ASSERT_TRUE(api::receive_message(peer.get()));
  ASSERT_TRUE(api::send_message(peer.get(), api::Message(static_cast<api::MessageType>(999))));
  const auto reply = api::receive_message(peer.get());
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status().error().code, ErrorCode::unsupported);
}

TEST_F(ApiServerTest, ASecondServerIsRefusedAndAStaleSocketReplaced) {
  const auto second = ApiServer::listen(path_, *dataplane_, *loop_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::busy);
  EXPECT_NE(second.error().text.find(std::to_string(getpid())), std::string::npos);
  EXPECT_TRUE(client().status()) << "the first still serves";
}

}  // namespace
}  // namespace weir::dataplane
