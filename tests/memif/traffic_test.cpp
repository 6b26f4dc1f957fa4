// Handshake and traffic with a well-behaved client.
#include <sys/stat.h>

#include <fstream>

#include "tests/memif/harness.h"

namespace weir::dataplane::memif::test {
namespace {

using Traffic = MemifTest;

TEST_F(Traffic, ConnectsAndTellsWho) {
  make_port(config());
  EXPECT_EQ(state().link, api::LinkState::down);
  {
    RawClient client(options());
    const Status status = client.connect(path_);
    ASSERT_TRUE(status) << status.error().text;
    EXPECT_EQ(state().link, api::LinkState::up);
    EXPECT_STREQ(state().peer_name.data(), "raw client");
    EXPECT_GE(wakes_.load(), 1U);
  }
  EXPECT_TRUE(pump_until([this] { return state().link == api::LinkState::down; }));
  EXPECT_EQ(detail(), "client is gone");
  expect_fd_baseline();
}

TEST_F(Traffic, FramesOfEveryLengthBothWays) {
  make_port(config());
  RawClient client(options());
  ASSERT_TRUE(client.connect(path_));
  // Around the head snapshot, one buffer, several buffers, jumbo.
  for (const size_t length :
       {1U, 14U, 60U, 127U, 128U, 129U, 1514U, 2047U, 2048U, 2049U, 4096U, 9018U, 32768U}) {
    const Bytes frame = make_frame(length);
    ASSERT_TRUE(client.send_frame(frame));
    const auto received = rx();
    ASSERT_EQ(received.size(), 1U) << length;
    EXPECT_EQ(received[0], frame) << length;
    EXPECT_TRUE(client.all_returned());

    EXPECT_EQ(tx({frame})[0], Drop::count) << length;
    const auto sent = client.receive_frame();
    ASSERT_TRUE(sent) << length;
    EXPECT_EQ(*sent, frame) << length;
    client.refill();
  }
  EXPECT_EQ(state().link, api::LinkState::up);
}

TEST_F(Traffic, HeadsLongerThanASnapshotAreSent) {
  make_port(config());
  RawClient client(options());
  ASSERT_TRUE(client.connect(path_));
  for (const uint16_t head :
       {uint16_t{129}, uint16_t{142}, uint16_t{176}, uint16_t{192}}) {  // 176: an ICMPv6 error
    const Bytes frame = make_frame(1000);
    Packet packet;
    packet.length = 1000;
    packet.head_offset = static_cast<uint16_t>(sizeof packet.storage - head);
    packet.head_length = head;
    std::memcpy(packet.data(), frame.data(), head);
    Segment body{frame.data() + head, 1000U - head};
    packet.body = &body;
    packet.body_count = 1;
    Packet* one = &packet;
    Drop drop = Drop::count;
    EXPECT_EQ(port_->tx({&one, 1}, &drop), 1);
    port_->flush();
    EXPECT_EQ(client.receive_frame(), frame) << head;
  }
}

TEST_F(Traffic, HeadIsGatheredFromManySmallPieces) {
  make_port(config());
  ClientOptions small = options();
  small.buffer = 20;
  RawClient client(small);
  ASSERT_TRUE(client.connect(path_));
  const Bytes frame = make_frame(300);  // 15 pieces; the head takes six and a half
  ASSERT_TRUE(client.send_frame(frame));
  EXPECT_EQ(rx(), std::vector<Bytes>{frame});
  EXPECT_EQ(tx({frame})[0], Drop::count);
  EXPECT_EQ(client.receive_frame(), frame);
  // 16 pieces at most: 320 bytes go, 321 do not.
  client.refill();
  EXPECT_EQ(tx({make_frame(321), make_frame(320)}), (std::vector{Drop::tx_too_long, Drop::count}));
  EXPECT_EQ(client.receive_frame(), make_frame(320));
}

TEST_F(Traffic, IndicesWrapManyTimes) {
  make_port(config());
  ClientOptions tiny = options();
  tiny.log2_ring = 5;
  RawClient client(tiny);
  ASSERT_TRUE(client.connect(path_));
  for (unsigned round = 0; round < 70000 / 24; ++round) {  // 16-bit indices wrap too
    std::vector<Bytes> frames;
    for (uint8_t i = 0; i < 24; ++i) {
      frames.push_back(make_frame(64, static_cast<uint8_t>(round + i)));
      ASSERT_TRUE(client.send_frame(frames.back()));
    }
    ASSERT_EQ(rx(), frames);
    for (const Drop drop : tx(frames)) ASSERT_EQ(drop, Drop::count);
    for (const Bytes& frame : frames) ASSERT_EQ(client.receive_frame(), frame);
    client.refill();
  }
}

TEST_F(Traffic, AFullVectorLeavesTheRestForLater) {
  make_port(config());
  ClientOptions big = options();
  big.log2_ring = 8;
  RawClient client(big);
  ASSERT_TRUE(client.connect(path_));
  for (unsigned i = 0; i < 150; ++i)
    ASSERT_TRUE(client.send_frame(make_frame(64, static_cast<uint8_t>(i))));
  EXPECT_EQ(rx().size(), 64U);
  EXPECT_EQ(rx().size(), 64U);
  EXPECT_EQ(rx().size(), 22U);
  EXPECT_EQ(rx().size(), 0U);
}

TEST_F(Traffic, BuffersStayTakenUntilRxDone) {
  make_port(config());
  RawClient client(options());
  ASSERT_TRUE(client.connect(path_));
  ASSERT_TRUE(client.send_frame(make_frame(1000)));
  DropSink drops(counters_);
  ASSERT_EQ(port_->rx(vector_->batch(), drops), 1);
  EXPECT_FALSE(client.all_returned());
  port_->rx_done();
  EXPECT_TRUE(client.all_returned());
}

TEST_F(Traffic, FramesAreInvisibleUntilFlush) {
  make_port(config());
  RawClient client(options());
  ASSERT_TRUE(client.connect(path_));
  Packet packet;
  packet.length = packet.head_length = 60;
  Packet* one = &packet;
  Drop drop = Drop::count;
  EXPECT_EQ(port_->tx({&one, 1}, &drop), 1);
  EXPECT_FALSE(client.receive_frame());
  port_->flush();
  EXPECT_TRUE(client.receive_frame());
}

TEST_F(Traffic, SeveralQueuesAreServedInTurn) {
  api::PortConfig four = config();
  four.memif_queues = 4;
  make_port(four);
  ClientOptions queues = options();
  queues.queues = 4;
  queues.log2_ring = 8;
  RawClient client(queues);
  ASSERT_TRUE(client.connect(path_));
  for (uint8_t queue = 0; queue < 4; ++queue) {
    for (unsigned i = 0; i < 64; ++i) ASSERT_TRUE(client.send_frame(make_frame(60, queue), queue));
  }
  std::array<unsigned, 4> seen{};
  for (unsigned round = 0; round < 4; ++round) {
    for (const Bytes& frame : rx()) ++seen[static_cast<size_t>(frame[0])];
    EXPECT_EQ(std::count(seen.begin(), seen.end(), 64U), round + 1) << "a queue starved";
  }
  EXPECT_EQ(tx({make_frame(60)})[0], Drop::count);
  EXPECT_TRUE(client.receive_frame(0));
}

TEST_F(Traffic, StalledReaderCostsItsOwnFramesOnly) {
  make_port(config());
  RawClient client(options());
  ASSERT_TRUE(client.connect(path_));
  const std::vector<Drop> drops = tx(std::vector<Bytes>(100, make_frame(60)));
  EXPECT_EQ(std::count(drops.begin(), drops.end(), Drop::count), client.ring_size());
  EXPECT_EQ(std::count(drops.begin(), drops.end(), Drop::tx_ring_full), 100 - client.ring_size());
  ASSERT_TRUE(client.send_frame(make_frame(60)));
  EXPECT_EQ(rx().size(), 1U);  // the other direction goes on
  while (client.receive_frame()) {
  }
  client.refill();
  EXPECT_EQ(tx({make_frame(60)})[0], Drop::count);
  EXPECT_EQ(state().link, api::LinkState::up);
}

TEST_F(Traffic, AFrameThatDoesNotFitLeavesTheRingIntact) {
  make_port(config());
  RawClient client(options());
  ASSERT_TRUE(client.connect(path_));
  tx(std::vector<Bytes>(client.ring_size() - 2U, make_frame(60)));
  EXPECT_EQ(tx({make_frame(6000), make_frame(61), make_frame(4000)}),
            (std::vector{Drop::tx_ring_full, Drop::count, Drop::tx_ring_full}));
  EXPECT_EQ(tx({make_frame(62)})[0], Drop::count);
  for (int i = 0; i < client.ring_size() - 2; ++i)
    ASSERT_EQ(client.receive_frame(), make_frame(60));
  EXPECT_EQ(client.receive_frame(), make_frame(61));
  EXPECT_EQ(client.receive_frame(), make_frame(62));
}

TEST_F(Traffic, NoClientIsPortDown) {
  make_port(config());
  EXPECT_EQ(tx({make_frame(60), make_frame(60)}),
            (std::vector{Drop::tx_port_down, Drop::tx_port_down}));
  EXPECT_TRUE(rx().empty());
  EXPECT_FALSE(port_->arm());
}

TEST_F(Traffic, SecretOpensThePort) {
  api::PortConfig secret = config();
  std::strcpy(secret.secret.data(), "sesame");
  make_port(secret);
  ClientOptions with = options();
  with.secret = "sesam";
  EXPECT_EQ(RawClient(with).connect(path_).error().text, "wrong secret");
  with.secret = "sesame";
  RawClient client(with);
  EXPECT_TRUE(client.connect(path_));
}

TEST_F(Traffic, UnsealedMemoryOnlyFromATrustedPeer) {
  api::PortConfig trusted = config();
  trusted.flags = api::kPortUnsealed;
  make_port(trusted);
  ClientOptions unsealed = options();
  unsealed.seal = false;
  RawClient client(unsealed);
  EXPECT_TRUE(client.connect(path_));
}

TEST_F(Traffic, SocketHasItsModeAndReplacesAStaleOne) {
  api::PortConfig mode = config();
  mode.socket_mode = 0620;
  make_port(mode);
  struct stat first {};
  ASSERT_EQ(lstat(path_.c_str(), &first), 0);
  EXPECT_TRUE(S_ISSOCK(first.st_mode));
  EXPECT_EQ(first.st_mode & 0777, 0620U);
  // A second instance takes the path over; the first one's end leaves it alone.
  auto other = service_->make_port(config(), [] {});
  ASSERT_TRUE(other) << other.error().text;
  port_.reset();
  struct stat second {};
  ASSERT_EQ(lstat(path_.c_str(), &second), 0);
  EXPECT_EQ(second.st_mode & 0777, 0660U);
  RawClient client(options());
  EXPECT_TRUE(client.connect(path_));
  client.close();
  other->reset();
  EXPECT_NE(lstat(path_.c_str(), &second), 0);
  EXPECT_TRUE(std::filesystem::is_empty(directory_));
}

TEST_F(Traffic, BadPathsAreRefused) {
  const auto error_of = [this](const std::string& path) {
    api::PortConfig bad = config();
    bad.socket_path.fill(0);
    std::strcpy(bad.socket_path.data(), path.c_str());
    auto port = service_->make_port(bad, [] {});
    return port ? std::string("made") : port.error().text;
  };
  EXPECT_NE(error_of("relative").find("absolute"), std::string::npos);
  EXPECT_NE(error_of("").find("absolute"), std::string::npos);
  EXPECT_NE(error_of(directory_ / "no" / "where" / "pod.sock").find("cannot make"),
            std::string::npos);
  std::ofstream(directory_ / "file");
  EXPECT_NE(error_of(directory_ / "file").find("not a socket"), std::string::npos);
  std::filesystem::create_directory(directory_ / "real");
  std::filesystem::create_symlink(directory_ / "real", directory_ / "link");
  EXPECT_NE(error_of(directory_ / "link" / "pod.sock").find("cannot open"), std::string::npos);
  std::filesystem::create_directory(directory_ / "open");
  std::filesystem::permissions(directory_ / "open", std::filesystem::perms::all);
  EXPECT_NE(error_of(directory_ / "open" / "pod.sock").find("writable by everybody"),
            std::string::npos);
  EXPECT_EQ(error_of(directory_ / "fresh" / "pod.sock"), "made");
}

TEST_F(Traffic, BadNumbersAreRefused) {
  api::PortConfig bad = config();
  bad.memif_queues = 17;
  EXPECT_FALSE(service_->make_port(bad, [] {}));
  bad = config();
  bad.memif_log2_ring = 15;
  EXPECT_FALSE(service_->make_port(bad, [] {}));
  EXPECT_FALSE(std::filesystem::exists(path_));
}

}  // namespace
}  // namespace weir::dataplane::memif::test
