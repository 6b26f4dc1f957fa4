// The client role: weir connects to the pod's server and lends memory of its own.
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <fstream>

#include "dataplane/ports/memif/connector.h"
#include "tests/memif/harness.h"
#include "tests/memif/raw_server.h"

namespace weir::dataplane::memif::test {
namespace {

class ClientRole : public MemifTest {
 protected:
  api::PortConfig client_config() const {
    api::PortConfig client = config();
    client.memif_role = api::MemifRole::client;
    client.memif_log2_ring = 6;
    std::strcpy(client.ifname.data(), "net1");
    return client;
  }
  ServerOptions server_options() {
    ServerOptions options;
    options.pump = [this] { pump(); };
    return options;
  }
  // Port and server, connected.
  void connect(RawServer& server) {
    make_port(client_config());
    ASSERT_TRUE(server.serve()) << detail();
    ASSERT_TRUE(pump_until([this] { return state().link == api::LinkState::up; })) << detail();
  }
  void expect_quarantine(const std::string& reason) {
    EXPECT_TRUE(pump_until([this] { return state().link == api::LinkState::quarantined; }));
    EXPECT_EQ(detail(), reason);
  }
};

TEST_F(ClientRole, ConnectsWhenTheServerComes) {
  make_port(client_config());
  EXPECT_TRUE(pump_until([this] { return detail().find("no server at") == 0; })) << detail();
  EXPECT_EQ(state().link, api::LinkState::down);
  RawServer server(path_, server_options());
  ASSERT_TRUE(server.serve()) << detail();
  ASSERT_TRUE(pump_until([this] { return state().link == api::LinkState::up; }));
  EXPECT_STREQ(state().peer_name.data(), "raw server");
  EXPECT_EQ(std::string(server.init().name.data()).find("weir"), 0U);
  EXPECT_EQ(server.interface(), "net1");
  server.close();
  EXPECT_TRUE(pump_until([this] { return detail() == "server is gone"; })) << detail();
}

TEST_F(ClientRole, ReconnectsWithoutEnd) {
  RawServer server(path_, server_options());
  make_port(client_config());
  for (int round = 0; round < 6; ++round) {
    ASSERT_TRUE(server.serve()) << round << ": " << detail();
    ASSERT_TRUE(pump_until([this] { return state().link == api::LinkState::up; }));
    ASSERT_EQ(tx({make_frame(60)})[0], Drop::count);
    EXPECT_EQ(server.receive_frame(), make_frame(60));
    server.close();
    ASSERT_TRUE(pump_until([this] { return state().link == api::LinkState::down; }));
  }
  expect_fd_baseline();
}

TEST_F(ClientRole, PausesGrowWhileThereIsNoServer) {
  make_port(client_config());
  size_t rounds = 0;
  const auto end = EventLoop::Clock::now() + std::chrono::milliseconds(1000);
  while (EventLoop::Clock::now() < end) rounds += loop_->run_once(std::chrono::milliseconds(50));
  EXPECT_LE(rounds, 6U) << "attempts at 0, 50, 150, 350, 750 ms";
  EXPECT_GE(rounds, 4U);
}

TEST_F(ClientRole, FramesOfEveryLengthBothWays) {
  RawServer server(path_, server_options());
  connect(server);
  for (unsigned round = 0; round < 300; ++round) {  // rings wrap many times
    for (const size_t length : {1U, 60U, 128U, 129U, 2047U, 2048U, 2049U, 9018U, 32768U}) {
      const Bytes frame = make_frame(length, static_cast<uint8_t>(round));
      ASSERT_TRUE(server.send_frame(frame));
      ASSERT_EQ(rx(), std::vector<Bytes>{frame}) << length;
      ASSERT_EQ(tx({frame})[0], Drop::count) << length;
      ASSERT_EQ(server.receive_frame(), frame) << length;
    }
  }
  EXPECT_EQ(state().link, api::LinkState::up);
}

TEST_F(ClientRole, AStalledServerCostsItsOwnFramesOnly) {
  RawServer server(path_, server_options());
  connect(server);
  const std::vector<Drop> drops = tx(std::vector<Bytes>(100, make_frame(60)));
  EXPECT_EQ(std::count(drops.begin(), drops.end(), Drop::count), 64);
  EXPECT_EQ(std::count(drops.begin(), drops.end(), Drop::tx_ring_full), 36);
  ASSERT_TRUE(server.send_frame(make_frame(60)));
  EXPECT_EQ(rx().size(), 1U);
  while (server.receive_frame()) {
  }
  EXPECT_EQ(tx({make_frame(60)})[0], Drop::count);
}

TEST_F(ClientRole, TakesTheSmallerOfBothEndsNumbers) {
  ServerOptions few = server_options();
  few.queues = 2;
  few.log2_ring = 5;
  RawServer server(path_, few);
  api::PortConfig many = client_config();
  many.memif_queues = 4;
  many.memif_buffer = 65535;
  make_port(many);
  ASSERT_TRUE(server.serve());
  ASSERT_TRUE(pump_until([this] { return state().link == api::LinkState::up; }));
  EXPECT_EQ(server.rings(true), 2U);
  EXPECT_EQ(server.rings(false), 2U);
  EXPECT_EQ(server.ring(true).size(), 32);
  EXPECT_EQ(server.descriptor(server.ring(false), 0).length, 65535U);
}

TEST_F(ClientRole, MemoryIsSealed) {
  RawServer server(path_, server_options());
  connect(server);
  EXPECT_EQ(fcntl(server.memory_fd(), F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
  EXPECT_NE(ftruncate(server.memory_fd(), 0), 0);
  // A hole is no harm: the port goes on, with packets of zeros at worst.
  EXPECT_EQ(fallocate(server.memory_fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                      static_cast<off_t>(server.memory_size())),
            0);
  tx({make_frame(9000)});
  rx();
}

TEST_F(ClientRole, SecretIsSent) {
  RawServer server(path_, server_options());
  api::PortConfig secret = client_config();
  std::strcpy(secret.secret.data(), "sesame");
  make_port(secret);
  ASSERT_TRUE(server.serve());
  EXPECT_STREQ(server.init().secret.data(), "sesame");
}

TEST_F(ClientRole, IpModeIsAskedFor) {
  RawServer server(path_, server_options());
  api::PortConfig ip = client_config();
  ip.memif_mode = api::MemifMode::ip;
  make_port(ip);
  ASSERT_TRUE(server.serve());
  EXPECT_EQ(server.init().mode, Mode::ip);
}

TEST_F(ClientRole, InterruptsBothWays) {
  RawServer server(path_, server_options());
  connect(server);
  // The worker sleeps; the server rings.
  EXPECT_FALSE(port_->arm());
  const unsigned wakes = wakes_;
  ASSERT_TRUE(server.send_frame(make_frame(60)));
  EXPECT_EQ(server.header(server.ring(false)).flags & kRingMaskInterrupt, 0);
  eventfd_write(server.ring(false).event.get(), 1);
  EXPECT_TRUE(pump_until([&] { return wakes_ > wakes; }));
  port_->disarm();
  EXPECT_EQ(rx().size(), 1U);
  EXPECT_NE(server.header(server.ring(false)).flags & kRingMaskInterrupt, 0);
  // The server sleeps; the port rings.
  const int event = server.ring(true).event.get();
  tx({make_frame(60)});
  eventfd_t count = 0;
  EXPECT_TRUE(pump_until([&] { return eventfd_read(event, &count) == 0; }));
}

// What a server may write into memory that is not its own.
struct Attack {
  std::string name;
  std::string reason;  // empty: harmless
  std::function<void(RawServer&)> run;
};

class HostileServer : public ClientRole, public testing::WithParamInterface<Attack> {};

TEST_P(HostileServer, Quarantined) {
  RawServer server(path_, server_options());
  connect(server);
  GetParam().run(server);
  tx({make_frame(3000)});
  rx();
  if (!GetParam().reason.empty()) return expect_quarantine(GetParam().reason);
  pump();
  EXPECT_EQ(state().link, api::LinkState::up) << detail();
}

void forge(RawServer& server, const Descriptor& descriptor) {
  server.set_descriptor(server.ring(false), 0, descriptor);
  server.set_tail(server.ring(false), 1);
}

INSTANTIATE_TEST_SUITE_P(
    Memory, HostileServer,
    testing::Values(
        Attack{"tail_beyond_what_was_offered", "transmit ring: head moved beyond the ring",
               [](RawServer& server) { server.set_tail(server.ring(false), 65); }},
        Attack{"tail_went_back", "transmit ring: head moved beyond the ring",
               [](RawServer& server) { server.set_tail(server.ring(false), 65535); }},
        Attack{"tail_beyond_what_was_sent", "receive ring: head moved beyond the ring",
               [](RawServer& server) { server.set_tail(server.ring(true), 1); }},
        Attack{"unknown_region", "transmit ring: descriptor names an unknown region",
               [](RawServer& server) {
                 forge(server, {0, 1, 60, 0, 0});
               }},
        Attack{"outside", "transmit ring: descriptor points outside its region",
               [](RawServer& server) {
                 forge(server, {0, 0, 60, 0xffffffff, 0});
               }},
        Attack{"too_long", "transmit ring: descriptor points outside its region",
               [](RawServer& server) {
                 forge(server, {0, 0, 0xffffffff, 4096, 0});
               }},
        Attack{"empty", "transmit ring: descriptor of length zero",
               [](RawServer& server) {
                 forge(server, {0, 0, 0, 4096, 0});
               }},
        Attack{"unfinished_chain", "transmit ring: chain goes on beyond the head",
               [](RawServer& server) {
                 forge(server, {kDescriptorNext, 0, 60, 4096, 0});
               }},
        Attack{"our_index_rewritten", "",
               [](RawServer& server) {
                 server.header(server.ring(true)).head = 4711;
                 server.header(server.ring(false)).head = 4711;
               }},
        Attack{"offered_descriptors_rewritten", "",
               [](RawServer& server) {
                 for (uint16_t i = 0; i < 64; ++i)
                   server.set_descriptor(server.ring(false), i, {0xffff, 9, 0, 0xffffffff, 0});
               }},
        Attack{"cookies_and_flags_gone", "",
               [](RawServer& server) {
                 for (const bool to_server : {true, false}) {
                   server.header(server.ring(to_server)).cookie = 0;
                   server.header(server.ring(to_server)).flags = 0xffff;
                 }
               }}),
    [](const auto& attack) { return attack.param.name; });

TEST_F(ClientRole, DescriptorsAreWrittenAnewBeforeEachUse) {
  RawServer server(path_, server_options());
  connect(server);
  for (int round = 0; round < 200; ++round) {
    ASSERT_EQ(tx({make_frame(2048)})[0], Drop::count);
    const uint16_t slot = server.ring(true).next;
    ASSERT_EQ(server.receive_frame(), make_frame(2048));
    server.set_descriptor(server.ring(true), slot, {1, 7, 1, 0xfffffff0, 0});
    ASSERT_TRUE(server.send_frame(make_frame(70)));
    ASSERT_EQ(rx().size(), 1U);
    server.set_descriptor(server.ring(false), static_cast<uint16_t>(server.ring(false).next + 63),
                          server.descriptor(server.ring(false), server.ring(false).next));
  }
  EXPECT_EQ(state().link, api::LinkState::up) << detail();
}

// A server's tail that goes back and forth must not cost the worker time.
TEST_F(ClientRole, ATailThatGoesBackIsOnlyAFullerRing) {
  RawServer server(path_, server_options());
  connect(server);
  for (int i = 0; i < 32; ++i) ASSERT_EQ(tx({make_frame(60)})[0], Drop::count);
  server.set_tail(server.ring(true), 32);
  ASSERT_EQ(tx({make_frame(60)})[0], Drop::count);
  server.set_tail(server.ring(true), 0);
  for (int i = 0; i < 100; ++i) tx({make_frame(60)});
  EXPECT_EQ(state().link, api::LinkState::up) << detail();
}

TEST_F(ClientRole, QuarantinedServerIsMetAgainLater) {
  RawServer server(path_, server_options());
  connect(server);
  server.set_tail(server.ring(false), 65);
  rx();
  expect_quarantine("transmit ring: head moved beyond the ring");
  ASSERT_TRUE(server.serve());
  EXPECT_TRUE(pump_until([this] { return state().link == api::LinkState::up; }));
}

TEST_F(ClientRole, WrongMessagesEndTheConversation) {
  struct Case {
    std::string reason;
    std::function<Message(const RawServer&)> first;
  };
  const auto hello_with = [](auto change) {
    return [change](const RawServer& server) {
      Message message = server.hello();
      change(message.hello);
      return message;
    };
  };
  RawServer server(path_, server_options());
  make_port(client_config());
  for (const Case& one : {Case{"unexpected message of type 1",
                               [](const RawServer&) { return blank_message(MessageType::ack); }},
                          Case{"server does not speak protocol version 2.0",
                               hello_with([](Hello& hello) { hello.min_version = 0x0300; })},
                          Case{"server does not speak protocol version 2.0",
                               hello_with([](Hello& hello) { hello.max_version = 0x01ff; })},
                          Case{"server's rings are smaller than 2^5",
                               hello_with([](Hello& hello) { hello.max_log2_ring = 4; })}}) {
    ASSERT_TRUE(server.accept());
    server.send(one.first(server));
    EXPECT_TRUE(pump_until([&] { return detail() == one.reason; })) << detail();
  }
  ASSERT_TRUE(server.accept());
  server.send(server.hello(), std::array{open("/dev/null", O_RDONLY | O_CLOEXEC)});
  EXPECT_TRUE(pump_until([&] { return detail() == "unexpected file descriptor"; })) << detail();
}

TEST_F(ClientRole, ASilentServerIsLeft) {
  RawServer server(path_, server_options());
  make_port(client_config());
  ASSERT_TRUE(server.accept());
  EXPECT_TRUE(pump_until([&] { return detail() == "no message within one second"; })) << detail();
}

TEST_F(ClientRole, TheServersReasonIsKept) {
  RawServer server(path_, server_options());
  make_port(client_config());
  ASSERT_TRUE(server.accept());
  Message message = blank_message(MessageType::disconnect);
  std::strcpy(message.disconnect.text.data(), "no room");
  server.send(message);
  EXPECT_TRUE(pump_until([&] { return detail() == "server disconnected: no room"; })) << detail();
}

TEST_F(ClientRole, OnlyASocketWithoutSymbolicLinksIsUsed) {
  RawServer server(directory_ / "real.sock", server_options());
  std::filesystem::create_symlink(directory_ / "real.sock", path_);
  make_port(client_config());
  EXPECT_TRUE(pump_until([&] { return detail().find("a symbolic link is on the way") == 0; }))
      << detail();
  std::filesystem::remove(path_);
  std::ofstream(path_) << "a file";
  EXPECT_TRUE(pump_until([&] { return detail().find("is not a socket") != std::string::npos; }))
      << detail();
  std::filesystem::remove(path_);
  std::filesystem::create_directory(directory_ / "there");
  std::filesystem::create_directory_symlink(directory_ / "there", directory_ / "link");
  api::PortConfig linked = client_config();
  std::strcpy(linked.socket_path.data(), (directory_ / "link" / "a.sock").c_str());
  port_.reset();
  make_port(linked);
  EXPECT_TRUE(pump_until([&] { return detail().find("a symbolic link is on the way") == 0; }))
      << detail();
}

TEST_F(ClientRole, MemoryHasALimit) {
  api::PortConfig greedy = client_config();
  greedy.memif_queues = 16;
  greedy.memif_log2_ring = 14;
  auto port = service_->make_port(greedy, [] {});
  ASSERT_FALSE(port);
  EXPECT_EQ(port.error().code, ErrorCode::limit);
}

}  // namespace
}  // namespace weir::dataplane::memif::test
