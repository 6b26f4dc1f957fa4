// What an operator sees when weir-control cannot start, and hostile peers on its socket.
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <fstream>

#include "cni/frame.h"
#include "control/netns/pod_link.h"
#include "tests/control/control_process.h"

namespace weir::control {
namespace {

using cni::Json;
using testing::HasSubstr;

class DaemonStartTest : public testing::Test {
 protected:
  void SetUp() override { WEIR_NEEDS_NAMESPACES(); }

  // Fails with one sentence that names `what`.
  void expect_refusal(const std::string& what) {
    const TestNode::Ended ended = node_.run_to_end();
    EXPECT_NE(ended.status, 0);
    EXPECT_THAT(ended.output, HasSubstr(what));
    EXPECT_EQ(std::ranges::count(ended.output, '\n'), 1) << ended.output;
  }

  api::Fd connect() {
    api::Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    node_.socket().copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
  void send(const api::Fd& fd, std::string_view bytes) {
    EXPECT_EQ(::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  // True once the daemon has closed the connection without an answer.
  bool dropped(const api::Fd& fd) {
    timeval patience{10, 0};
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    char byte = 0;
    const ssize_t got = recv(fd.get(), &byte, 1, 0);
    return got == 0 || (got < 0 && errno == ECONNRESET);
  }
  std::string header(uint32_t length) {
    const cni::FrameHeader bytes = cni::encode_frame_header(cni::FrameKind::request, length);
    return {bytes.begin(), bytes.end()};
  }

  TestNode node_;
};

TEST_F(DaemonStartTest, UnknownKeys) {
  node_.configure({{"network", {{"mtuu", 1500}}}});
  expect_refusal("mtu");
}

TEST_F(DaemonStartTest, AnOccupiedSocket) {
  node_.start();
  TestNode second;
  setenv("WEIR_RUN_DIR", node_.run_dir().c_str(), 1);  // NOLINT(concurrency-mt-unsafe)
  const TestNode::Ended ended = second.run_to_end();
  EXPECT_NE(ended.status, 0);
  EXPECT_THAT(ended.output, HasSubstr("already serves"));
  EXPECT_FALSE(node_.ask("status").error);  // the first is unharmed
}

TEST_F(DaemonStartTest, AnOccupiedStateDirectory) {
  node_.start();
  TestNode second;
  setenv("WEIR_STATE_DIR", node_.state_dir().c_str(), 1);  // NOLINT(concurrency-mt-unsafe)
  const TestNode::Ended ended = second.run_to_end();
  EXPECT_NE(ended.status, 0);
  EXPECT_FALSE(node_.ask("status").error);
}

TEST_F(DaemonStartTest, AStaleSocketIsReplaced) {
  node_.start();
  node_.kill();
  ASSERT_EQ(access(node_.socket().c_str(), F_OK), 0);
  node_.start();
  EXPECT_FALSE(node_.ask("status").error);
}

TEST_F(DaemonStartTest, AFileInTheSocketsPlace) {
  std::ofstream(node_.socket()) << "mine";
  expect_refusal("is no socket");
  EXPECT_TRUE(std::filesystem::is_regular_file(node_.socket()));
}

TEST_F(DaemonStartTest, AnOccupiedMetricsAddress) {
  const Status done = node_.netns().run([&]() -> Status {
    const api::Fd taken(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(9470);
    EXPECT_EQ(bind(taken.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(taken.get(), 1), 0);
    node_.configure({{"control", {{"metrics", "0.0.0.0:9470"}}}});
    expect_refusal("metrics");
    return {};
  });
  EXPECT_TRUE(done);
}

TEST_F(DaemonStartTest, AnUnusableRunDirectory) {
  TestNode other;
  const std::string file = other.run_dir() + "/file";
  std::ofstream(file) << "text";
  setenv("WEIR_RUN_DIR", file.c_str(), 1);  // NOLINT(concurrency-mt-unsafe)
  const TestNode::Ended ended = node_.run_to_end();
  EXPECT_NE(ended.status, 0);
  EXPECT_THAT(ended.output, HasSubstr("WEIR_RUN_DIR"));
}

TEST_F(DaemonStartTest, HostilePeersHurtOnlyThemselves) {
  node_.start();
  const api::Fd silent = connect();
  const api::Fd half = connect();
  send(half, std::string_view(header(10)).substr(0, 5));
  const api::Fd slow = connect();
  send(slow, header(100) + "{");
  const api::Fd huge = connect();
  send(huge, header(cni::kMaxFrameBody) + "x");
  const api::Fd garbage = connect();
  send(garbage, "GET / HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(dropped(garbage));
  std::string too_long = header(1);
  too_long[11] = '\x7f';  // 2 GiB
  const api::Fd oversized = connect();
  send(oversized, too_long);
  EXPECT_TRUE(dropped(oversized));
  TestPod pod("pod-a");
  EXPECT_FALSE(pod.add(node_).error);  // meanwhile
  EXPECT_FALSE(pod.del(node_).error);
  EXPECT_TRUE(dropped(half));  // by its deadline
  EXPECT_TRUE(dropped(slow));
  EXPECT_TRUE(dropped(huge));
}

TEST_F(DaemonStartTest, EveryBodyGetsAnAnswer) {
  node_.start();
  const std::string deep(100000, '[');
  for (const std::string& body :
       {std::string(""), std::string("null"), std::string("[]"), std::string("{"), deep,
        std::string("{\"method\":7}"), std::string("{\"method\":\"no.such\"}"),
        std::string("{\"method\":\"cni.add\"}"),
        std::string("{\"method\":\"cni.add\",\"params\":7}"), std::string("\xff\xfe"),
        std::string(10, '\0')}) {
    const api::Fd peer = connect();
    send(peer, header(static_cast<uint32_t>(body.size())) + body);
    std::array<char, 512> answer{};
    timeval patience{10, 0};
    setsockopt(peer.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    const ssize_t got = recv(peer.get(), answer.data(), answer.size(), 0);
    ASSERT_GT(got, 12) << body.substr(0, 40);
    EXPECT_THAT(std::string(answer.data() + 12, static_cast<size_t>(got) - 12),
                HasSubstr("\"error\""));
  }
  EXPECT_FALSE(node_.ask("status").error);
}

TEST_F(DaemonStartTest, ServesMetrics) {
  node_.configure({{"control", {{"metrics", "127.0.0.1:9470"}}}});
  const Status up = node_.netns().run(loopback_up);
  ASSERT_TRUE(up);
  node_.start();
  std::string page;
  const Status done = node_.netns().run([&]() -> Status {
    const api::Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(9470);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    send(fd, "GET /metrics HTTP/1.0\r\n\r\n");
    std::array<char, 4096> part{};
    for (ssize_t got = 1; got > 0;) {
      got = recv(fd.get(), part.data(), part.size(), 0);
      if (got > 0) page.append(part.data(), static_cast<size_t>(got));
    }
    return {};
  });
  ASSERT_TRUE(done);
  EXPECT_THAT(page, HasSubstr("weir_dataplane_up 1"));
  EXPECT_THAT(page, HasSubstr("weir_attachments 0"));
  EXPECT_THAT(page, HasSubstr("weir_port_up{port=\"1\",name=\"host\""));
  EXPECT_THAT(page, HasSubstr("weir_connections_limit 64"));
}

}  // namespace
}  // namespace weir::control
