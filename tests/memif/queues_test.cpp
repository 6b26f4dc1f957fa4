// Several queues: which one a frame takes, and what is left to the others.
#include <sys/eventfd.h>

#include <map>
#include <set>

#include "dataplane/core/flow_hash.h"
#include "tests/memif/harness.h"

namespace weir::dataplane::memif::test {
namespace {

constexpr uint8_t kQueues = 4;
constexpr size_t kIp = sizeof(EthernetHeader);
constexpr size_t kL4 = kIp + sizeof(Ip4Header);

// What stages leave behind for a UDP packet of flow `flow`; `number` is its payload.
Packet udp(uint16_t flow, uint8_t number = 0) {
  Packet packet;
  packet.length = packet.head_length = 60;
  std::memset(packet.data(), 0, packet.head_length);
  packet.family = Family::ip4;
  packet.l3_offset = kIp;
  packet.l4_offset = kL4;
  packet.l4_protocol = kProtoUdp;
  packet.header<Be32>(kIp + offsetof(Ip4Header, source))->set(0x0a000001);
  packet.header<Be32>(kIp + offsetof(Ip4Header, destination))->set(0x0a000002);
  packet.header<Be16>(kL4)->set(flow);
  packet.data()[59] = static_cast<std::byte>(number);
  return packet;
}

uint16_t flow_of(const Bytes& frame) { return load<Be16>(frame.data() + kL4).host(); }

class Queues : public MemifTest {
 protected:
  void SetUp() override {
    api::PortConfig several = config();
    several.memif_queues = kQueues;
    make_port(several);
    options_ = options();
    options_.queues = kQueues;
  }

  std::vector<Drop> send(std::vector<Packet>& packets) {
    std::vector<Packet*> pointers;
    for (Packet& packet : packets) pointers.push_back(&packet);
    std::vector<Drop> drops(packets.size(), Drop::count);
    const uint16_t sent = port_->tx(pointers, drops.data());
    EXPECT_EQ(sent, std::count(drops.begin(), drops.end(), Drop::count));
    port_->flush();
    return drops;
  }
  static std::vector<Bytes> receive(RawClient& client, uint8_t queue) {
    std::vector<Bytes> frames;
    while (auto frame = client.receive_frame(queue)) frames.push_back(*frame);
    client.refill(queue);
    return frames;
  }
  // The queue that a flow takes.
  uint8_t queue_of(RawClient& client, uint16_t flow) {
    std::vector<Packet> one{udp(flow)};
    send(one);
    uint8_t queue = kQueues;
    for (uint8_t i = 0; i < kQueues; ++i) {
      if (!receive(client, i).empty()) queue = i;
    }
    return queue;
  }

  ClientOptions options_;
};

TEST_F(Queues, EachFlowKeepsItsQueueAndItsOrder) {
  RawClient client(options_);
  ASSERT_TRUE(client.connect(path_));
  std::map<uint16_t, uint8_t> queue_of_flow;
  std::map<uint16_t, uint8_t> last;
  std::set<uint8_t> used;
  for (uint8_t round = 0; round < 10; ++round) {
    std::vector<Packet> packets;
    for (uint16_t i = 0; i < kVectorSize; ++i)
      packets.push_back(
          udp(static_cast<uint16_t>(i % 32), static_cast<uint8_t>(2 * round + i / 32)));
    for (const Drop drop : send(packets)) ASSERT_EQ(drop, Drop::count);
    for (uint8_t queue = 0; queue < kQueues; ++queue) {
      for (const Bytes& frame : receive(client, queue)) {
        const uint16_t flow = flow_of(frame);
        ASSERT_EQ(queue_of_flow.emplace(flow, queue).first->second, queue) << "flow " << flow;
        ASSERT_EQ(std::to_integer<uint8_t>(frame[59]), last[flow]++) << "flow " << flow;
        used.insert(queue);
      }
    }
  }
  EXPECT_EQ(last.size(), 32U);
  for (const auto& [flow, count] : last) EXPECT_EQ(count, 20) << "flow " << flow;
  EXPECT_EQ(used.size(), kQueues) << "32 flows leave a queue idle";
}

TEST_F(Queues, FlowsAreSpreadEvenly) {
  std::array<unsigned, kQueues> count{};
  for (uint16_t flow = 0; flow < 4000; ++flow)
    ++count[uint64_t{flow_hash(udp(flow))} * kQueues >> 32];
  for (const unsigned one : count) EXPECT_NEAR(one, 1000, 100);
}

TEST_F(Queues, FragmentsStayTogether) {
  Packet first = udp(77);
  first.fragment = true;
  Packet later = udp(1234);  // where the ports were there is payload
  later.fragment = true;
  later.l4_offset = 0;
  EXPECT_EQ(flow_hash(first), flow_hash(later));
  EXPECT_NE(flow_hash(udp(77)), flow_hash(udp(78)));
}

TEST_F(Queues, AStalledQueueCostsItsOwnFlowsOnly) {
  RawClient client(options_);
  ASSERT_TRUE(client.connect(path_));
  uint16_t other = 1;
  const uint8_t stalled = queue_of(client, 0);
  while (queue_of(client, other) == stalled) ++other;
  for (unsigned i = 0; i < client.ring_size(); ++i) {
    std::vector<Packet> one{udp(0)};
    ASSERT_EQ(send(one)[0], Drop::count);
  }
  std::vector<Packet> mixed{udp(0), udp(other), udp(0), udp(other)};
  EXPECT_EQ(send(mixed),
            (std::vector{Drop::tx_ring_full, Drop::count, Drop::tx_ring_full, Drop::count}));
}

TEST_F(Queues, EachReaderIsInterruptedByItsOwnEventfd) {
  RawClient client(options_);
  ASSERT_TRUE(client.connect(path_));
  for (uint8_t queue = 0; queue < kQueues; ++queue)
    std::atomic_ref(client.ring(false, queue).flags).store(0);  // wants interrupts
  const uint8_t used = queue_of(client, 5);
  const auto raised = [&](uint8_t queue) {
    eventfd_t value = 0;
    return eventfd_read(client.eventfd(false, queue), &value) == 0;
  };
  EXPECT_TRUE(pump_until([&] { return raised(used); }));
  for (uint8_t queue = 0; queue < kQueues; ++queue) EXPECT_FALSE(raised(queue)) << int{queue};
}

TEST_F(Queues, DirectionsMayDiffer) {
  RawClient client(options_);
  ASSERT_TRUE(client.open(path_));
  ASSERT_TRUE(client.init());
  ASSERT_TRUE(client.make_memory());
  ASSERT_TRUE(client.add_region(client.memory_fd(), 0, client.memory_size()));
  for (uint16_t queue = 0; queue < 3; ++queue) {
    const int event = client.eventfd(true, static_cast<uint8_t>(queue));
    ASSERT_TRUE(client.add_ring(kRingToServer, queue, event));
  }
  ASSERT_TRUE(client.add_ring(0, 0, client.eventfd(false, 0)));
  ASSERT_TRUE(client.say_connect());
  client.refill(0);
  for (uint8_t queue = 0; queue < 3; ++queue) ASSERT_TRUE(client.send_frame(make_frame(60), queue));
  EXPECT_EQ(rx().size(), 3U);
  std::vector<Packet> flows;
  for (uint16_t flow = 0; flow < 32; ++flow) flows.push_back(udp(flow));
  send(flows);
  EXPECT_EQ(receive(client, 0).size(), 32U);
}

}  // namespace
}  // namespace weir::dataplane::memif::test
