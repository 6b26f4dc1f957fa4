// A client that breaks the rules of the control channel: each is refused by name, costs
// no descriptor, and the next client is served.
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/memif/harness.h"

namespace weir::dataplane::memif::test {
namespace {

using namespace std::chrono_literals;

class HostileHandshake : public MemifTest {
 protected:
  void SetUp() override { make_port(config()); }

  // The server refused the client with `reason`, holds nothing of it, and serves others.
  void expect_refused(RawClient& client, const std::string& reason) {
    EXPECT_EQ(client.wait_disconnect(), reason);
    EXPECT_EQ(state().link, api::LinkState::down);
    EXPECT_EQ(detail(), reason.substr(0, 63));
    client.close();
    expect_fd_baseline();
    RawClient good(options());
    const Status status = good.connect(path_);
    EXPECT_TRUE(status) << status.error().text;
    good.close();
    EXPECT_TRUE(pump_until([this] { return state().link == api::LinkState::down; }));
    expect_fd_baseline();
  }

  // A client that has said INIT and made its memory.
  std::unique_ptr<RawClient> ready_client() {
    auto client = std::make_unique<RawClient>(options());
    EXPECT_TRUE(client->open(path_));
    EXPECT_TRUE(client->init());
    EXPECT_TRUE(client->make_memory());
    return client;
  }
  std::unique_ptr<RawClient> client_with_region() {
    auto client = ready_client();
    EXPECT_TRUE(client->add_region(client->memory_fd(), 0, client->memory_size()));
    return client;
  }
  static Message ring_message(const RawClient& client, uint16_t flags = kRingToServer) {
    Message message = blank_message(MessageType::add_ring);
    message.add_ring = {
        flags, 0, 0, client.ring_offset(flags == kRingToServer, 0), client.options().log2_ring, 0};
    return message;
  }
};

TEST_F(HostileHandshake, MessagesOutOfOrder) {
  for (const MessageType type :
       {MessageType::none, MessageType::ack, MessageType::hello, MessageType::connect,
        MessageType::connected, static_cast<MessageType>(4711)}) {
    RawClient client(options());
    ASSERT_TRUE(client.open(path_));
    client.send(blank_message(type));
    expect_refused(client,
                   "unexpected message of type " + std::to_string(static_cast<unsigned>(type)));
  }
}

TEST_F(HostileHandshake, RegionAndRingBeforeInit) {
  const api::Fd memory = make_memfd(4096, true);
  fd_baseline_ = open_fds();
  for (const Message& message : {region_message(0, 4096), blank_message(MessageType::add_ring)}) {
    RawClient client(options());
    ASSERT_TRUE(client.open(path_));
    client.send(message, std::array{memory.get()});
    expect_refused(client, "unexpected message of type " +
                               std::to_string(static_cast<unsigned>(message.type)));
  }
}

TEST_F(HostileHandshake, SecondInit) {
  auto client = ready_client();
  client->send(init_message(options()));
  expect_refused(*client, "unexpected message of type 3");
}

TEST_F(HostileHandshake, MessagesAfterConnect) {
  for (const MessageType type : {MessageType::init, MessageType::add_region, MessageType::add_ring,
                                 MessageType::connect, MessageType::ack}) {
    RawClient client(options());
    ASSERT_TRUE(client.connect(path_));
    const bool with_fd = type == MessageType::add_region || type == MessageType::add_ring;
    const int fd = client.memory_fd();
    client.send(blank_message(type), with_fd ? std::span(&fd, 1) : std::span<const int>());
    expect_refused(client,
                   "unexpected message of type " + std::to_string(static_cast<unsigned>(type)));
  }
}

TEST_F(HostileHandshake, BadInit) {
  struct Case {
    std::string reason;
    std::function<void(Init&)> spoil;
  };
  for (const Case& one :
       {Case{"protocol version is not 2.0", [](Init& init) { init.version = 0x0100; }},
        Case{"interface id not found: use id 0", [](Init& init) { init.id = 7; }},
        Case{"this port is in Ethernet mode", [](Init& init) { init.mode = Mode::ip; }}}) {
    RawClient client(options());
    ASSERT_TRUE(client.open(path_));
    Message message = init_message(options());
    one.spoil(message.init);
    client.send(message);
    expect_refused(client, one.reason);
  }
}

TEST_F(HostileHandshake, NamesOfPeersAreMadePrintable) {
  ClientOptions noisy = options();
  noisy.name = "a\n\x1b[31m\xff and thirty-two bytes without an end";
  RawClient client(noisy);
  ASSERT_TRUE(client.connect(path_));
  EXPECT_STREQ(state().peer_name.data(), "a??[31m? and thirty-two bytes wi");
}

TEST_F(HostileHandshake, BadRegions) {
  struct Case {
    std::string reason;
    std::function<api::Fd()> fd;
    uint16_t index = 0;
    uint64_t size = 65536;
  };
  const auto sealed = [] { return make_memfd(65536, true); };
  const auto more_seals = [](int seals) {
    return [seals] {
      api::Fd fd = make_memfd(65536, true);
      fcntl(fd.get(), F_ADD_SEALS, seals);
      return fd;
    };
  };
  const std::vector<Case> cases{
      {"region's memfd lacks F_SEAL_SHRINK", [] { return make_memfd(65536, false); }},
      {"region's memfd is too short", [] { return make_memfd(4096, true); }},
      {"region's memfd is too short", sealed, 0, 65537},
      {"region of size zero", sealed, 0, 0},
      {"regions of more than 1 GiB in all", sealed, 0, kMaxBytes + 1},
      {"regions of more than 1 GiB in all", sealed, 0, UINT64_MAX},
      {"region index out of order", sealed, 1},
      {"region is not writable", more_seals(F_SEAL_WRITE)},
      {"region is not writable", more_seals(F_SEAL_FUTURE_WRITE)},
      {"region is not a memfd", [] { return api::Fd(eventfd(0, 0)); }},
      {"region is not a memfd", [] { return api::Fd(open("/dev/zero", O_RDWR)); }},
      {"region is not a memfd", [] { return api::Fd(open("/proc/self/exe", O_RDONLY)); }},
      {"region is not a memfd", [] { return api::Fd(socket(AF_INET, SOCK_STREAM, 0)); }},
      {"region without its file descriptor", [] { return api::Fd(); }},
  };
  for (const Case& one : cases) {
    auto client = ready_client();
    const api::Fd fd = one.fd();
    const int number = fd.get();
    client->send(region_message(one.index, one.size),
                 fd ? std::span(&number, 1) : std::span<const int>());
    EXPECT_EQ(client->wait_disconnect(), one.reason);
    EXPECT_EQ(detail(), one.reason);
  }
  auto last = ready_client();
  last->send(blank_message(MessageType::none));
  expect_refused(*last, "unexpected message of type 0");
}

TEST_F(HostileHandshake, RegionOnHugetlbfs) {
  const api::Fd huge(memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB | MFD_ALLOW_SEALING));
  if (!huge || ftruncate(huge.get(), 2 << 20) != 0 ||
      fcntl(huge.get(), F_ADD_SEALS, F_SEAL_SHRINK) != 0) {
    GTEST_SKIP() << "the kernel has no hugetlbfs memfds (CONFIG_HUGETLBFS)";
  }
  auto client = ready_client();
  client->send(region_message(0, 2 << 20), std::array{huge.get()});
  EXPECT_EQ(client->wait_disconnect(), "region on hugetlbfs");
}

TEST_F(HostileHandshake, TooManyAndTooLargeRegions) {
  const api::Fd small = make_memfd(4096, true);
  fd_baseline_ = open_fds();
  auto many = ready_client();
  for (uint16_t i = 0; i < kMaxRegions; ++i) ASSERT_TRUE(many->add_region(small.get(), i, 4096));
  EXPECT_EQ(many->add_region(small.get(), kMaxRegions, 4096).error().text, "more than 16 regions");
  many->close();
  expect_fd_baseline();

  const api::Fd large = make_memfd(600 << 20, true);  // sparse
  auto big = ready_client();
  ASSERT_TRUE(big->add_region(large.get(), 0, 600 << 20));
  EXPECT_EQ(big->add_region(large.get(), 1, 600 << 20).error().text,
            "regions of more than 1 GiB in all");
}

TEST_F(HostileHandshake, BadRings) {
  struct Case {
    std::string reason;
    std::function<void(AddRing&)> spoil;
  };
  const std::vector<Case> cases{
      {"unknown ring flags", [](AddRing& ring) { ring.flags = 2; }},
      {"private headers are not supported", [](AddRing& ring) { ring.private_header_size = 1; }},
      {"more rings than queues", [](AddRing& ring) { ring.index = 1; }},
      {"more rings than queues", [](AddRing& ring) { ring.index = 0xffff; }},
      {"ring in an unknown region", [](AddRing& ring) { ring.region = 1; }},
      {"ring in an unknown region", [](AddRing& ring) { ring.region = 0xffff; }},
      {"ring size is not 2^5 to 2^14", [](AddRing& ring) { ring.log2_size = 4; }},
      {"ring size is not 2^5 to 2^14", [](AddRing& ring) { ring.log2_size = 15; }},
      {"ring size is not 2^5 to 2^14", [](AddRing& ring) { ring.log2_size = 64; }},
      {"ring size is not 2^5 to 2^14", [](AddRing& ring) { ring.log2_size = 255; }},
      {"ring offset is not a multiple of 64", [](AddRing& ring) { ring.offset = 1; }},
      {"ring offset is not a multiple of 64", [](AddRing& ring) { ring.offset = 32; }},
      {"ring lies outside its region", [](AddRing& ring) { ring.offset = 0xffffffc0; }},
      {"ring lies outside its region",
       [](AddRing& ring) {
         ring.offset = 2240;  // 2176 would fit
         ring.log2_size = 14;
       }},
  };
  for (const Case& one : cases) {
    auto client = client_with_region();
    Message message = ring_message(*client);
    one.spoil(message.add_ring);
    client->send(message, std::array{client->eventfd(true)});
    EXPECT_EQ(client->wait_disconnect(), one.reason);
    EXPECT_EQ(detail(), one.reason);
  }
}

TEST_F(HostileHandshake, DuplicateRing) {
  auto client = client_with_region();
  ASSERT_TRUE(client->add_ring(kRingToServer, 0, client->eventfd(true)));
  client->send(ring_message(*client), std::array{client->eventfd(true)});
  expect_refused(*client, "ring index out of order");
}

TEST_F(HostileHandshake, RingDescriptorOfTheWrongKind) {
  std::array<int, 2> pipe_ends{};
  ASSERT_EQ(pipe(pipe_ends.data()), 0);
  const api::Fd read_end(pipe_ends[0]);
  const api::Fd write_end(pipe_ends[1]);
  const api::Fd file(open((directory_ / "anon_inode:[eventfd]").c_str(), O_CREAT | O_RDWR, 0600));
  const api::Fd memory = make_memfd(4096, true);
  fd_baseline_ = open_fds();
  for (const int fd : {read_end.get(), write_end.get(), file.get(), memory.get()}) {
    auto client = client_with_region();
    client->send(ring_message(*client), std::array{fd});
    expect_refused(*client, "ring's file descriptor is not an eventfd");
  }
  auto none = client_with_region();
  none->send(ring_message(*none));
  expect_refused(*none, "ring without its file descriptor");
}

TEST_F(HostileHandshake, SurplusDescriptors) {
  auto client = ready_client();
  std::vector<int> many(253, client->memory_fd());  // as many as the kernel passes at once
  client->send(region_message(0, client->memory_size()), many);
  expect_refused(*client, "unexpected file descriptor");
  RawClient early(options());
  ASSERT_TRUE(early.open(path_));
  early.send(init_message(options()), std::array{0, 1, 2});
  expect_refused(early, "unexpected file descriptor");
}

// Messages that were queued but never read: their descriptors go with the socket.
TEST_F(HostileHandshake, DescriptorsThatAreStillQueued) {
  RawClient client(options());
  ASSERT_TRUE(client.open(path_));
  std::vector<int> many(200, client.socket());
  client.send(blank_message(MessageType::none));
  for (int i = 0; i < 20; ++i) client.send(blank_message(MessageType::none), many);
  expect_refused(client, "unexpected message of type 0");
}

TEST_F(HostileHandshake, ConnectWithoutRings) {
  auto no_rings = client_with_region();
  no_rings->send(blank_message(MessageType::connect));
  expect_refused(*no_rings, "a ring for each direction is needed");
  auto one_ring = client_with_region();
  ASSERT_TRUE(one_ring->add_ring(kRingToServer, 0, one_ring->eventfd(true)));
  one_ring->send(blank_message(MessageType::connect));
  expect_refused(*one_ring, "a ring for each direction is needed");
}

TEST_F(HostileHandshake, RingWithoutCookie) {
  auto client = client_with_region();
  client->ring(false).cookie = 0x1234;
  ASSERT_TRUE(client->add_ring(kRingToServer, 0, client->eventfd(true)));
  ASSERT_TRUE(client->add_ring(0, 0, client->eventfd(false)));
  client->send(blank_message(MessageType::connect));
  expect_refused(*client, "ring without its cookie");
}

TEST_F(HostileHandshake, MessagesOfTheWrongLength) {
  const std::array<std::byte, 4096> zeros{};
  for (const size_t length : {1U, 2U, 64U, 127U, 129U, 4096U}) {
    RawClient client(options());
    ASSERT_TRUE(client.open(path_));
    client.send_raw(std::span(zeros).first(length));
    expect_refused(client, "message is not 128 bytes long");
  }
  RawClient empty(options());
  ASSERT_TRUE(empty.open(path_));
  empty.send_raw({}, std::array{empty.socket()});
  EXPECT_EQ(empty.wait_disconnect(), "");  // not to be told from its end
  empty.close();
  expect_fd_baseline();
}

TEST_F(HostileHandshake, SlowClientRunsIntoTheDeadline) {
  auto client = client_with_region();
  const auto start = EventLoop::Clock::now();
  EXPECT_EQ(client->wait_disconnect(), "no message within one second");
  EXPECT_GE(EventLoop::Clock::now() - start, 900ms);
  client->close();
  expect_fd_baseline();
}

TEST_F(HostileHandshake, OneClientAtATime) {
  RawClient first(options());
  ASSERT_TRUE(first.connect(path_));
  RawClient second(options());
  EXPECT_EQ(second.open(path_).error().text, "another client is connected");
  EXPECT_EQ(state().link, api::LinkState::up);
  // The first one's end and the next one's start in one round.
  first.close();
  RawClient third(options());
  EXPECT_TRUE(third.connect(path_));
}

TEST_F(HostileHandshake, ConnectingInALoopIsSlowedDown) {
  unsigned served = 0;
  const auto start = EventLoop::Clock::now();
  while (served < 48) {
    RawClient client(options());
    ASSERT_TRUE(client.open(path_));
    ++served;
  }
  EXPECT_GE(EventLoop::Clock::now() - start, 190ms);  // 16 in each 100 ms
  expect_fd_baseline();
}

TEST_F(HostileHandshake, ServerOutOfDescriptorsRecovers) {
  RawClient client(options());
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  // Room for the client's socket, none for the server's.
  const rlimit tight{.rlim_cur = static_cast<rlim_t>(dup(0)) + 1, .rlim_max = before.rlim_max};
  ::close(static_cast<int>(tight.rlim_cur - 1));
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &tight), 0);
  ClientOptions hasty = options();
  hasty.timeout = 250ms;
  RawClient starved(hasty);
  EXPECT_FALSE(starved.open(path_));
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  starved.close();
  EXPECT_TRUE(client.connect(path_));
}

TEST_F(HostileHandshake, PortGoesWhileAClientIsConnected) {
  RawClient connected(options());
  ASSERT_TRUE(connected.connect(path_));
  port_.reset();
  EXPECT_EQ(connected.wait_disconnect(), "port removed");
  connected.close();
  make_port(config());
  auto half = client_with_region();
  port_.reset();
  EXPECT_EQ(half->wait_disconnect(), "port removed");
}

}  // namespace
}  // namespace weir::dataplane::memif::test
