// What the port tells the operator of its connection.
#include "tests/memif/harness.h"
#include "tests/memif/raw_server.h"

namespace weir::dataplane::memif::test {
namespace {

using State = MemifTest;

TEST_F(State, NothingOfAPeerBeforeThereIsOne) {
  make_port(config());
  const api::MemifState memif = state().memif;
  EXPECT_EQ(memif.connections, 0U);
  EXPECT_EQ(memif.regions, 0U);
  EXPECT_EQ(memif.rx_rings + memif.tx_rings, 0);
  EXPECT_STREQ(memif.last_end.data(), "");
}

TEST_F(State, RingsFillAndAreCounted) {
  api::PortConfig two = config();
  two.memif_queues = 2;
  make_port(two);
  ClientOptions queues = options();
  queues.queues = 2;
  RawClient client(queues);
  ASSERT_TRUE(client.connect(path_));
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(client.send_frame(make_frame(3000), 1));
  EXPECT_EQ(state().memif.rx[1].fill, 10);  // two buffers each
  EXPECT_EQ(state().memif.rx[0].fill, 0);
  rx();
  tx({make_frame(60), make_frame(60), make_frame(60)});
  const api::MemifState memif = state().memif;
  EXPECT_EQ(memif.rx_rings, 2);
  EXPECT_EQ(memif.tx_rings, 2);
  EXPECT_EQ(memif.rx[1].size, client.ring_size());
  EXPECT_EQ(memif.rx[1].fill, 0);
  EXPECT_EQ(memif.rx[1].packets, 5U);
  EXPECT_EQ(memif.rx[0].packets, 0U);
  EXPECT_EQ(memif.tx[0].fill, 3);  // until the client gives them back
  EXPECT_EQ(memif.tx[0].packets, 3U);
  EXPECT_EQ(memif.regions, 1U);
  EXPECT_EQ(memif.region_bytes, client.memory_size());
}

TEST_F(State, SaysWhoPollsAndWhoIsInterrupted) {
  make_port(config());
  RawClient client(options());  // polls
  ASSERT_TRUE(client.connect(path_));
  port_->arm();
  EXPECT_EQ(state().memif.rx[0].interrupts, 1);
  EXPECT_EQ(state().memif.tx[0].interrupts, 0);
  port_->disarm();
  std::atomic_ref(client.ring(false).flags).store(0);
  EXPECT_EQ(state().memif.rx[0].interrupts, 0);
  EXPECT_EQ(state().memif.tx[0].interrupts, 1);
}

TEST_F(State, NamesThePeerAndWhyTheLastOneLeft) {
  make_port(config());
  {
    RawClient client(options());
    ASSERT_TRUE(client.connect(path_));
    const api::MemifState memif = state().memif;
    EXPECT_STREQ(memif.interface.data(), "raw0");
    EXPECT_EQ(memif.peer_pid, static_cast<uint32_t>(getpid()));
    EXPECT_EQ(memif.peer_uid, getuid());
  }
  ASSERT_TRUE(pump_until([this] { return state().link == api::LinkState::down; }));
  EXPECT_EQ(state().memif.peer_pid, 0U);
  EXPECT_EQ(state().memif.rx_rings, 0);
  RawClient client(options());
  ASSERT_TRUE(client.connect(path_));
  EXPECT_EQ(state().memif.connections, 2U);
  EXPECT_STREQ(state().memif.last_end.data(), "client is gone");
  EXPECT_EQ(detail(), "");
}

TEST_F(State, FillIsSaneWhateverThePeerWrites) {
  make_port(config());
  RawClient client(options());
  ASSERT_TRUE(client.connect(path_));
  for (const uint16_t lie : {uint16_t{0}, uint16_t{65}, uint16_t{32768}, uint16_t{65535}}) {
    std::atomic_ref(client.ring(true).head).store(lie);
    std::atomic_ref(client.ring(false).head).store(lie);
    EXPECT_LE(state().memif.rx[0].fill, client.ring_size());
    EXPECT_LE(state().memif.tx[0].fill, client.ring_size());
  }
}

TEST_F(State, OfTheClientRoleToo) {
  api::PortConfig client = config();
  client.memif_role = api::MemifRole::client;
  client.memif_log2_ring = 6;
  ServerOptions pumped;
  pumped.pump = [this] { pump(); };
  RawServer server(path_, pumped);
  make_port(client);
  ASSERT_TRUE(server.serve());
  ASSERT_TRUE(pump_until([this] { return state().link == api::LinkState::up; }));
  ASSERT_TRUE(server.send_frame(make_frame(60)));
  tx({make_frame(60), make_frame(60)});
  const api::MemifState memif = state().memif;
  EXPECT_EQ(memif.rx[0].fill, 1);
  EXPECT_EQ(memif.tx[0].fill, 2);
  EXPECT_EQ(memif.tx[0].packets, 2U);
  EXPECT_EQ(memif.region_bytes, server.memory_size());
}

}  // namespace
}  // namespace weir::dataplane::memif::test
