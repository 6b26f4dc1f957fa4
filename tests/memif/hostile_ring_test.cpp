// A connected client that lies in its shared memory: the port is quarantined by name,
// nothing outside its regions is touched, and it recovers.
#include <fcntl.h>
#include <sys/mman.h>

#include "tests/memif/harness.h"

namespace weir::dataplane::memif::test {
namespace {

using namespace std::chrono_literals;

class HostileRing : public MemifTest {
 protected:
  void SetUp() override {
    make_port(config());
    connect();
  }
  void connect() {
    client_ = std::make_unique<RawClient>(options());
    const Status status = client_->connect(path_);
    ASSERT_TRUE(status) << status.error().text;
  }

  void expect_quarantine(const std::string& reason) {
    EXPECT_TRUE(rx().empty());
    EXPECT_EQ(tx({make_frame(60)})[0], Drop::tx_port_down);
    EXPECT_TRUE(pump_until([this] { return state().link == api::LinkState::quarantined; }));
    EXPECT_EQ(detail(), reason.substr(0, 63));
    EXPECT_EQ(client_->wait_disconnect(), "quarantined: " + reason);
    client_->close();
    expect_fd_baseline();
    EXPECT_EQ(rcu_.pending(), 0U);
  }

  void send(const Descriptor& descriptor, uint16_t slot = 0) {
    client_->set_descriptor(true, slot, descriptor);
  }

  std::unique_ptr<RawClient> client_;
};

struct DescriptorCase {
  const char* name;
  const char* reason;
  std::vector<Descriptor> descriptors;
};

class HostileTransmit : public HostileRing, public testing::WithParamInterface<DescriptorCase> {};

TEST_P(HostileTransmit, Quarantined) {
  uint16_t slot = 0;
  for (const Descriptor& descriptor : GetParam().descriptors) send(descriptor, slot++);
  client_->set_head(true, slot);
  EXPECT_TRUE(rx().empty());
  expect_quarantine(GetParam().reason);
}

constexpr auto kRegion = "transmit ring: descriptor names an unknown region";
constexpr auto kRange = "transmit ring: descriptor points outside its region";
constexpr auto kEmpty = "transmit ring: descriptor of length zero";

INSTANTIATE_TEST_SUITE_P(
    Descriptors, HostileTransmit,
    testing::Values(
        DescriptorCase{"region_1", kRegion, {{0, 1, 60, 0, 0}}},
        DescriptorCase{"region_16", kRegion, {{0, 16, 60, 0, 0}}},
        DescriptorCase{"region_65535", kRegion, {{0, 65535, 60, 0, 0}}},
        DescriptorCase{"offset_at_the_end", kRange, {{0, 0, 60, 0xffffffff, 0}}},
        DescriptorCase{"sum_overflows_32_bits", kRange, {{0, 0, 0xffffffff, 0xffffffff, 0}}},
        DescriptorCase{"length_overflows", kRange, {{0, 0, 0xffffffff, 1, 0}}},
        DescriptorCase{"length_zero", kEmpty, {{0, 0, 0, 0, 0}}},
        DescriptorCase{"second_piece_empty", kEmpty, {{1, 0, 60, 0, 0}, {0, 0, 0, 0, 0}}},
        DescriptorCase{"zero_length_chain", kEmpty, std::vector<Descriptor>(40, {1, 0, 0, 0, 0})},
        DescriptorCase{
            "second_piece_outside", kRange, {{1, 0, 60, 0, 0}, {0, 0, 60, 0xfffffff0, 0}}},
        DescriptorCase{"chain_beyond_head",
                       "transmit ring: chain goes on beyond the head",
                       {{1, 0, 60, 0, 0}, {1, 0, 60, 0, 0}}},
        DescriptorCase{"chain_of_17", "transmit ring: chain of more than 16 descriptors",
                       std::vector<Descriptor>(17, {1, 0, 60, 0, 0})},
        DescriptorCase{"endless_chain", "transmit ring: chain of more than 16 descriptors",
                       std::vector<Descriptor>(64, {0xffff, 0, 60, 0, 0})},
        DescriptorCase{"too_long_a_frame",
                       "transmit ring: frame longer than 65553 bytes",
                       {{0, 0, 65554, 0, 0}}},
        DescriptorCase{"too_long_a_chain",
                       "transmit ring: frame longer than 65553 bytes",
                       {{1, 0, 65000, 0, 0}, {0, 0, 1000, 0, 0}}}),
    [](const auto& test) { return std::string(test.param.name); });

TEST_F(HostileRing, LastByteOfTheRegionIsFine) {
  const auto size = static_cast<uint32_t>(client_->memory_size());
  send({0, 0, 60, size - 60, 0});
  client_->set_head(true, 1);
  EXPECT_EQ(rx().size(), 1U);
  send({0, 0, 60, size - 59, 0}, 1);
  client_->set_head(true, 2);
  EXPECT_TRUE(rx().empty());
  expect_quarantine(kRange);
}

TEST_F(HostileRing, TransmitHeadJumps) {
  for (const uint16_t head : std::array<uint16_t, 4>{65, 1000, 32768, 65535}) {
    client_->set_head(true, head);
    EXPECT_TRUE(rx().empty());
    expect_quarantine("transmit ring: head moved beyond the ring");
    EXPECT_TRUE(pump_until([&] {
      client_ = std::make_unique<RawClient>(options());
      return static_cast<bool>(client_->connect(path_));
    }));
  }
}

TEST_F(HostileRing, TransmitHeadGoesBack) {
  ASSERT_TRUE(client_->send_frame(make_frame(60)));
  ASSERT_EQ(rx().size(), 1U);
  client_->set_head(true, 0);
  EXPECT_TRUE(rx().empty());
  expect_quarantine("transmit ring: head moved beyond the ring");
}

TEST_F(HostileRing, GoodFramesBeforeABadOneArrive) {
  ASSERT_TRUE(client_->send_frame(make_frame(60)));
  ASSERT_TRUE(client_->send_frame(make_frame(61)));
  send({0, 9, 60, 0, 0}, 2);
  client_->set_head(true, 3);
  EXPECT_EQ(rx().size(), 2U);
  expect_quarantine(kRegion);
}

TEST_F(HostileRing, ReceiveHeadJumps) {
  client_->set_head(false, static_cast<uint16_t>(client_->ring_size() + 1));
  EXPECT_EQ(tx({make_frame(60)})[0], Drop::tx_port_down);
  expect_quarantine("receive ring: head moved beyond the ring");
}

TEST_F(HostileRing, ReceiveBuffersLie) {
  struct Case {
    const char* reason;
    Descriptor descriptor;
  };
  for (const Case& one :
       {Case{"receive ring: descriptor names an unknown region", {0, 1, 2048, 0, 0}},
        Case{"receive ring: descriptor points outside its region", {0, 0, 2048, 0xfffff000, 0}},
        Case{"receive ring: descriptor points outside its region", {0, 0, 0xffffffff, 64, 0}},
        Case{"receive ring: buffer of length zero", {0, 0, 0, 0, 0}}}) {
    client_->set_descriptor(false, 1, one.descriptor);
    EXPECT_EQ(tx({make_frame(60), make_frame(60)}), (std::vector{Drop::count, Drop::tx_port_down}));
    expect_quarantine(one.reason);
    EXPECT_TRUE(pump_until([&] {
      client_ = std::make_unique<RawClient>(options());
      return static_cast<bool>(client_->connect(path_));
    }));
  }
}

TEST_F(HostileRing, AChainOverABadBufferIsNotFinished) {
  client_->set_descriptor(false, 1, {0, 5, 2048, 0, 0});
  EXPECT_EQ(tx({make_frame(3000)})[0], Drop::tx_port_down);
  EXPECT_FALSE(client_->receive_frame());
  expect_quarantine("receive ring: descriptor names an unknown region");
}

// Our tails are private: what the peer writes over them changes nothing.
TEST_F(HostileRing, OverwrittenTailsCookiesAndFlagsAreIgnored) {
  for (unsigned i = 0; i < 200; ++i) {
    for (const bool to_server : {true, false}) {
      RingHeader& ring = client_->ring(to_server);
      ring.cookie = i;
      ring.flags = static_cast<uint16_t>(i);
    }
    const Bytes frame = make_frame(100, static_cast<uint8_t>(i));
    ASSERT_TRUE(client_->send_frame(frame));
    client_->ring(true).tail = static_cast<uint16_t>(i * 77);
    ASSERT_EQ(rx(), std::vector<Bytes>{frame});
    EXPECT_TRUE(client_->all_returned());
    client_->ring(false).tail = static_cast<uint16_t>(i * 77);
    ASSERT_EQ(tx({frame})[0], Drop::count);
    ASSERT_EQ(client_->receive_frame(), frame);
    client_->refill();
  }
  EXPECT_EQ(state().link, api::LinkState::up);
}

// Buffers that lie over the rings themselves harm only who offered them.
TEST_F(HostileRing, BuffersOverTheRings) {
  const auto rings = static_cast<uint32_t>(2 * ring_bytes(client_->options().log2_ring));
  for (uint16_t slot = 0; slot < client_->ring_size(); ++slot) {
    client_->set_descriptor(false, slot, {0, 0, rings, 0, 0});
  }
  const Bytes noise(1500, std::byte{0xff});
  for (int i = 0; i < 8; ++i) tx({noise, noise, noise});
  rx();
  EXPECT_TRUE(pump_until([this] { return state().link == api::LinkState::quarantined; }));
  client_->close();
  expect_fd_baseline();
}

// A hole in the memory reads as zeros, it does not fault.
TEST_F(HostileRing, PunchedMemoryIsHarmless) {
  ASSERT_TRUE(client_->send_frame(make_frame(1000)));
  ASSERT_EQ(fallocate(client_->memory_fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                      static_cast<off_t>(client_->memory_size())),
            0);
  EXPECT_TRUE(rx().empty());
  EXPECT_EQ(tx({make_frame(60)})[0], Drop::tx_ring_full);  // head reads 0: nothing is offered
  EXPECT_NE(ftruncate(client_->memory_fd(), 0), 0) << "the seal does not hold";
}

TEST_F(HostileRing, QuarantineEndsAfterOneSecond) {
  client_->set_head(true, 999);
  rx();
  const auto start = EventLoop::Clock::now();
  expect_quarantine("transmit ring: head moved beyond the ring");
  RawClient early(options());
  EXPECT_EQ(early.open(path_).error().text,
            "quarantined: transmit ring: head moved beyond the ring");
  EXPECT_EQ(state().link, api::LinkState::quarantined);
  EXPECT_TRUE(pump_until([&] {
    client_ = std::make_unique<RawClient>(options());
    return static_cast<bool>(client_->connect(path_));
  }));
  EXPECT_GE(EventLoop::Clock::now() - start, 900ms);
  EXPECT_EQ(state().link, api::LinkState::up);
  EXPECT_EQ(detail(), "");
  ASSERT_TRUE(client_->send_frame(make_frame(60)));
  EXPECT_EQ(rx().size(), 1U);
}

// Calls that a worker may still make in any order around a disconnect.
TEST_F(HostileRing, WorkerCallsAfterTheLinkWentAreVoid) {
  ASSERT_TRUE(client_->send_frame(make_frame(500)));
  DropSink drops(counters_);
  ASSERT_EQ(port_->rx(vector_->batch(), drops), 1);
  client_->close();
  // Main thread only: the worker is not quiescent yet.
  while (state().link != api::LinkState::down) loop_->run_once(10ms);
  rcu_.reclaim();
  EXPECT_EQ(rcu_.pending(), 1U) << "unmapped under a worker";
  EXPECT_EQ(bytes_of(vector_->packets[0]), make_frame(500));
  port_->rx_done();
  port_->flush();
  EXPECT_TRUE(pump_until([this] { return rcu_.pending() == 0; }));
  connect();
  port_->rx_done();
  port_->flush();
  EXPECT_TRUE(client_->all_returned());
}

}  // namespace
}  // namespace weir::dataplane::memif::test
