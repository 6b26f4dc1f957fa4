#include "dataplane/tables/connection_table.h"

#include <set>

#include "tests/tables/connection_fixture.h"

namespace weir::dataplane {
namespace {

class ConnectionTableTest : public ConnectionFixture {};

TEST_F(ConnectionTableTest, BothDirectionsFindTheConnection) {
  EXPECT_TRUE(table_.empty());
  Connection& connection = add(flow(4000));
  EXPECT_FALSE(table_.empty());
  const auto forward = find(udp_key(kClient, 4000, kVip, 53));
  EXPECT_EQ(forward.connection, &connection);
  EXPECT_EQ(forward.direction, Direction::forward);
  const auto reverse = find(udp_key(kBackend, 8080, kClient, 4000));
  EXPECT_EQ(reverse.connection, &connection);
  EXPECT_EQ(reverse.direction, Direction::reverse);
  EXPECT_FALSE(find(udp_key(kClient, 4001, kVip, 53)));
  FlowKey tcp = connection.key();
  tcp.protocol = kProtoTcp;
  EXPECT_FALSE(find(tcp));
}

TEST_F(ConnectionTableTest, AnExpectationIsCheckedBeforeItCounts) {
  Connection& connection = add(flow(1));
  const FlowKey key = connection.key();
  const FlowNumber expected = table_.prefetch_record(table_.hash(key));
  EXPECT_EQ(table_.find_expected(key, expected).connection, &connection);
  EXPECT_FALSE(table_.find_expected(key, 0)) << "as it was when the worker looked";
  EXPECT_FALSE(table_.find_expected(flow(2).key, expected));
  table_.kill(connection);
  EXPECT_FALSE(table_.find_expected(key, expected));
  Connection& next = add(flow(1));
  EXPECT_EQ(table_.find_expected(key, expected).connection, &next);
}

TEST_F(ConnectionTableTest, Ip6KeysAreToldApartByEveryByte) {
  NewConnection wanted = flow(4000);
  wanted.key.family = Family::ip6;
  for (size_t i = 0; i < 16; ++i)
    wanted.key.source[i] = wanted.key.destination[i] = static_cast<uint8_t>(i + 1);
  wanted.backend.fill(7);
  Connection& connection = add(wanted);
  EXPECT_EQ(find(connection.key()).connection, &connection);
  EXPECT_EQ(find(connection.reverse_key()).connection, &connection);
  std::set<uint64_t> hashes{table_.hash(connection.key())};
  for (size_t i = 0; i < sizeof(FlowKey) - 2; ++i) {
    FlowKey other = connection.key();
    reinterpret_cast<uint8_t*>(&other)[i] ^= 0x80;
    EXPECT_FALSE(find(other)) << "byte " << i;
    if (other.family != Family::ip6) continue;
    EXPECT_TRUE(hashes.insert(table_.hash(other)).second) << "byte " << i;
  }
}

TEST_F(ConnectionTableTest, ASecondPacketOfAFlowGetsTheFirstOnesConnection) {
  Connection& connection = add(flow(4000));
  NewConnection again = flow(4000);
  again.backend = ip4_bytes(kBackend + 1);
  const auto added = table_.add(0, again, now_);
  EXPECT_EQ(added.outcome, Outcome::exists);
  EXPECT_EQ(added.connection, &connection);
  EXPECT_EQ(table_.stats().in_use, 1U);
}

TEST_F(ConnectionTableTest, TwoConnectionsNeverLookAlikeToABackend) {
  add(flow(4000));
  NewConnection other = flow(4000);
  other.key.destination = ip4_bytes(kVip + 1);  // the same client port to another VIP
  EXPECT_EQ(table_.add(0, other, now_).outcome, Outcome::tuple_taken);
  other.masquerade = other.key.source;  // with another port it may
  other.masquerade_first = 5000;
  other.masquerade_last = 5000;
  EXPECT_EQ(table_.add(0, other, now_).outcome, Outcome::added);
}

TEST_F(ConnectionTableTest, AReplyIsNeverTakenForANewFlow) {
  Connection& connection = add(masqueraded(4000, 30000, 30000));
  // The backend opens a connection whose packets look like that one's replies.
  NewConnection wanted = flow(1);
  wanted.key = connection.reverse_key();
  EXPECT_EQ(table_.add(0, wanted, now_).outcome, Outcome::tuple_taken);
}

TEST_F(ConnectionTableTest, MasqueradePortsAreUniqueForEachBackend) {
  std::set<uint16_t> ports;
  for (unsigned i = 0; i < 8; ++i) {
    const Connection& connection = add(masqueraded(4000 + i, 100, 107));
    EXPECT_TRUE(connection.masqueraded());
    EXPECT_EQ(connection.reverse_key().destination, ip4_bytes(kMasquerade));
    EXPECT_TRUE(ports.insert(connection.reverse_key().destination_port).second);
    EXPECT_EQ(find(connection.reverse_key()).connection, &connection);
  }
  EXPECT_EQ(ports.size(), 8U);
  EXPECT_EQ(table_.add(0, masqueraded(5000, 100, 107), now_).outcome, Outcome::tuple_taken);
  NewConnection elsewhere = masqueraded(5000, 100, 107);
  elsewhere.backend = ip4_bytes(kBackend + 1);
  EXPECT_EQ(table_.add(0, elsewhere, now_).outcome, Outcome::added);
}

TEST_F(ConnectionTableTest, UdpFlowsEndAfterTheirTime) {
  Connection& asked = add(flow(1));
  Connection& answered = add(flow(2));
  table_.touch(answered, Direction::reverse, 0, now_);
  EXPECT_EQ(asked.phase(), api::ConnectionPhase::opening);
  EXPECT_EQ(answered.phase(), api::ConnectionPhase::open);
  advance(30);
  reap();
  EXPECT_TRUE(find(flow(1).key)) << "its 30 s are just over";
  ++now_;
  reap();
  EXPECT_FALSE(find(flow(1).key));
  EXPECT_TRUE(find(flow(2).key));
  advance(140);
  table_.touch(answered, Direction::forward, 0, now_);
  advance(179);
  reap();
  EXPECT_TRUE(find(flow(2).key));
  advance(2);
  reap();
  EXPECT_FALSE(find(flow(2).key));
  EXPECT_EQ(table_.stats().expired, 2U);
}

struct TcpStep {
  Direction direction;
  unsigned flags;
};
struct TcpCase {
  const char* name;
  std::vector<TcpStep> steps;  // after the client's SYN
  api::ConnectionPhase phase;
  uint32_t seconds;
};

TEST_F(ConnectionTableTest, TcpPhasesAndTheirTimes) {
  constexpr auto kForward = Direction::forward;
  constexpr auto kReverse = Direction::reverse;
  constexpr unsigned kAck = 0x10;
  constexpr unsigned kSynAck = kAck | kTcpSyn;
  constexpr unsigned kFinAck = kAck | kTcpFin;
  const std::vector<TcpCase> cases{
      {"syn", {}, api::ConnectionPhase::opening, 60},
      {"syn again", {{kForward, kTcpSyn}}, api::ConnectionPhase::opening, 60},
      {"never acknowledged", {{kReverse, kSynAck}}, api::ConnectionPhase::opening, 60},
      {"open", {{kReverse, kSynAck}, {kForward, kAck}}, api::ConnectionPhase::open, 86400},
      {"half closed",
       {{kReverse, kSynAck}, {kForward, kAck}, {kForward, kFinAck}},
       api::ConnectionPhase::open,
       86400},
      {"closed",
       {{kReverse, kSynAck}, {kForward, kFinAck}, {kReverse, kFinAck}},
       api::ConnectionPhase::closing,
       30},
      {"reset", {{kReverse, kAck | kTcpRst}}, api::ConnectionPhase::closing, 10},
  };
  unsigned port = 1;
  for (const TcpCase& c : cases) {
    SCOPED_TRACE(c.name);
    Connection& connection = add(tcp_flow(++port));
    for (const TcpStep& step : c.steps)
      table_.touch(connection, step.direction, static_cast<uint8_t>(step.flags), now_);
    EXPECT_EQ(connection.phase(), c.phase);
    advance(c.seconds);
    reap();
    EXPECT_TRUE(find(connection.key()));
    ++now_;
    reap();
    EXPECT_FALSE(find(tcp_flow(port).key));
  }
}

TEST_F(ConnectionTableTest, AConnectionFoundInItsMiddleOpensWithTheReply) {
  NewConnection wanted = tcp_flow(1);
  wanted.tcp_flags = 0x10;
  Connection& connection = add(wanted);
  EXPECT_EQ(connection.phase(), api::ConnectionPhase::opening);
  table_.touch(connection, Direction::reverse, 0x10, now_);
  EXPECT_EQ(connection.phase(), api::ConnectionPhase::open);
}

TEST_F(ConnectionTableTest, ARecordIsUsedAgainOnlyAfterAGracePeriod) {
  Connection& connection = add(flow(1));
  const FlowKey key = connection.key();
  table_.kill(connection);
  EXPECT_FALSE(find(key));
  EXPECT_EQ(table_.add(0, flow(1), now_).outcome, Outcome::added) << "its place is free at once";
  reap();
  EXPECT_EQ(table_.stats().waiting, 1U);
  for (unsigned port = 2; table_.add(0, flow(port), now_).outcome == Outcome::added; ++port) {
  }
  EXPECT_EQ(connection.key(), key) << "a worker may still look at it";
  pass_grace();
  EXPECT_EQ(table_.stats().waiting, 0U);
  reap();
  EXPECT_EQ(table_.add(0, flow(60000), now_).outcome, Outcome::added);
  EXPECT_NE(connection.key(), key);
}

TEST_F(ConnectionTableTest, AFullTableTakesNoMoreAndEmptiesAgain) {
  unsigned port = 1;
  while (table_.add(0, flow(port), now_).outcome == Outcome::added) ++port;
  EXPECT_EQ(port - 1, table_.stats().capacity);
  EXPECT_EQ(table_.add(0, flow(port), now_).outcome, Outcome::table_full);
  for (unsigned i = 1; i < port; ++i) {
    const auto match = find(flow(i).key);
    ASSERT_TRUE(match);
    table_.kill(*match.connection);
  }
  reap();
  pass_grace();
  reap();
  EXPECT_TRUE(table_.empty());
  EXPECT_EQ(table_.stats().in_use, 0U);
  EXPECT_EQ(pool_.connections(backend_), 0U);
  for (unsigned i = 1; i < port; ++i) add(flow(i));
}

TEST_F(ConnectionTableTest, TheFullerTheTableTheLessTimeHasWhatAFloodCanMake) {
  const uint32_t capacity = table_.stats().capacity;
  Connection& answered = add(flow(1));
  table_.touch(answered, Direction::reverse, 0, now_);
  Connection& open = add(tcp_flow(1));
  table_.touch(open, Direction::reverse, kTcpSyn, now_);
  table_.touch(open, Direction::forward, 0, now_);
  for (unsigned port = 3; port <= capacity * 3 / 4; ++port) add(flow(port));
  advance(14);
  reap();
  EXPECT_TRUE(find(flow(3).key)) << "three quarters full: half of 30 s";
  advance(2);
  reap();
  EXPECT_FALSE(find(flow(3).key));
  EXPECT_TRUE(find(flow(1).key));
  pass_grace();
  reap();  // what is free again goes to the workers
  for (unsigned port = 3; port <= capacity; ++port) add(flow(port));
  advance(1);
  table_.touch(answered, Direction::forward, 0, now_);
  reap();
  EXPECT_EQ(table_.stats().in_use, 2U) << "full: half a second";
  EXPECT_TRUE(find(flow(1).key)) << "answered: 5 s";
  advance(6);
  reap();
  EXPECT_FALSE(find(flow(1).key));
  EXPECT_TRUE(find(tcp_flow(1).key)) << "an open TCP connection has its whole time";
}

TEST_F(ConnectionTableTest, AffinitiesDoNotFillTheTable) {
  const auto set = [&](uint32_t client, BackendId backend) {
    table_.set_affinity(0,
                        {.client = ip4_bytes(client),
                         .family = Family::ip4,
                         .number = 9,
                         .backend_id = backend,
                         .seconds = 86400},
                        now_);
    return table_.find_affinity(Family::ip4, ip4_bytes(client), 9, now_);
  };
  const BackendId other = add_backend(kBackend + 1);
  const uint32_t half = table_.stats().capacity / 2;
  for (uint32_t client = 1; client <= half + 1; ++client)
    EXPECT_EQ(set(client, backend_), backend_);
  reap();
  EXPECT_EQ(set(half + 2, backend_), kNoBackend);
  EXPECT_EQ(set(1, other), other) << "one that is there may move";
}

TEST_F(ConnectionTableTest, TheQuotaIsCountedBack) {
  table_.set_quota(2);
  NewConnection first = flow(1);
  NewConnection second = flow(2);
  NewConnection third = flow(3);
  first.owner = second.owner = third.owner = 7;
  Connection& connection = add(first);
  add(second);
  EXPECT_EQ(table_.add(0, third, now_).outcome, Outcome::over_quota);
  EXPECT_EQ(table_.add(0, flow(3), now_).outcome, Outcome::added) << "counts for no port";
  table_.kill(connection);
  reap();
  EXPECT_EQ(table_.connections_of(7), 2U);
  pass_grace();
  EXPECT_EQ(table_.connections_of(7), 1U);
  third.key.source_port = wire_port(4);
  EXPECT_EQ(table_.add(0, third, now_).outcome, Outcome::added);
}

TEST_F(ConnectionTableTest, WhatNoPodOpensHasAQuotaTogetherAndForEachHost) {
  const auto from = [&](uint8_t host, uint16_t port) {
    NewConnection wanted = flow(port);
    wanted.key.source[3] = host;
    return wanted;
  };
  const auto outcome = [&](const NewConnection& wanted) {
    return table_.add(0, wanted, now_).outcome;
  };
  table_.set_outside_quota(4);
  Connection& connection = add(from(1, 1));
  add(from(1, 2));
  EXPECT_EQ(outcome(from(1, 3)), Outcome::over_host_quota);
  add(from(2, 1));
  add(from(3, 1));
  EXPECT_EQ(outcome(from(4, 1)), Outcome::over_quota);
  NewConnection of_a_pod = from(4, 1);
  of_a_pod.owner = 7;
  EXPECT_EQ(outcome(of_a_pod), Outcome::added);
  table_.kill(connection);
  reap();
  pass_grace();
  EXPECT_EQ(outcome(from(5, 1)), Outcome::added);
  EXPECT_EQ(outcome(from(5, 2)), Outcome::over_quota);
}

TEST_F(ConnectionTableTest, AReusedPortNumberStartsAtZeroAndStaysRight) {
  NewConnection wanted = flow(1);
  wanted.owner = 7;
  Connection& old = add(wanted);
  table_.forget_port(7);
  EXPECT_EQ(table_.connections_of(7), 0U);
  wanted.key.source_port = wire_port(2);
  add(wanted);
  EXPECT_EQ(table_.connections_of(7), 1U);
  table_.kill(old);
  reap();
  pass_grace();
  EXPECT_EQ(table_.connections_of(7), 1U) << "the old port's connection is not counted back";
}

TEST_F(ConnectionTableTest, FailedAddsCountNothing) {
  table_.set_quota(UINT32_MAX);
  NewConnection wanted = masqueraded(1, 100, 100);
  wanted.owner = 7;
  add(wanted);
  wanted.key.source_port = wire_port(2);
  EXPECT_EQ(table_.add(0, wanted, now_).outcome, Outcome::tuple_taken);
  wanted = flow(10);
  wanted.owner = 7;
  for (unsigned port = 10; table_.add(0, wanted, now_).outcome == Outcome::added;)
    wanted.key.source_port = wire_port(++port);
  EXPECT_EQ(table_.connections_of(7), table_.stats().in_use);
  EXPECT_EQ(pool_.connections(backend_), table_.stats().in_use);
}

TEST_F(ConnectionTableTest, AffinityIsKeptMovedAndForgotten) {
  const BackendId other = add_backend(kBackend + 1);
  const Ip6Bytes client = ip4_bytes(kClient);
  const auto look = [&] { return table_.find_affinity(Family::ip4, client, 9, now_); };
  NewAffinity wanted{
      .client = client, .family = Family::ip4, .number = 9, .backend_id = backend_, .seconds = 60};
  EXPECT_EQ(look(), kNoBackend);
  table_.set_affinity(0, wanted, now_);
  EXPECT_EQ(look(), backend_);
  EXPECT_EQ(table_.find_affinity(Family::ip4, client, 10, now_), kNoBackend);
  EXPECT_EQ(table_.find_affinity(Family::ip6, client, 9, now_), kNoBackend);
  advance(50);
  table_.set_affinity(0, wanted, now_);  // a new connection refreshes it
  advance(50);
  EXPECT_EQ(look(), backend_);
  wanted.backend_id = other;
  table_.set_affinity(0, wanted, now_);
  EXPECT_EQ(look(), other);
  reap();
  EXPECT_EQ(table_.stats().affinities, 1U);
  EXPECT_EQ(table_.stats().waiting, 1U) << "the old one";
  advance(61);
  EXPECT_EQ(look(), kNoBackend) << "too old, swept or not";
  reap();
  pass_grace();
  EXPECT_EQ(table_.stats().affinities, 0U);
  EXPECT_EQ(table_.stats().in_use, 0U);
}

TEST_F(ConnectionTableTest, AnAffinityIsNoConnection) {
  table_.set_affinity(0,
                      {.client = ip4_bytes(kClient),
                       .family = Family::ip4,
                       .number = 9,
                       .backend_id = backend_,
                       .seconds = 60},
                      now_);
  EXPECT_EQ(pool_.connections(backend_), 0U);
  table_.query({}, now_, [](const api::ConnectionState&, uint16_t) { ADD_FAILURE(); });
  // A packet with the affinity's own number as its protocol.
  FlowKey key = udp_key(kClient, 0, 0, 0);
  key.protocol = Connection::kAffinityProtocol;
  EXPECT_FALSE(find(key));
}

TEST_F(ConnectionTableTest, RepicksAreCountedOnce) {
  Connection& connection = add(flow(1));
  table_.repick(0, connection);
  table_.repick(0, connection);
  EXPECT_EQ(table_.stats().repicked, 1U);
  EXPECT_FALSE(find(flow(1).key));
}

TEST_F(ConnectionTableTest, QueriesFilterAndGoOnWhereTheyStopped) {
  for (unsigned port = 1; port <= 10; ++port)
    add(flow(port, port % 2 == 0 ? kClient : kClient + 1));
  NewConnection owned = tcp_flow(11);
  owned.owner = 5;
  add(owned);
  std::vector<api::ConnectionState> seen;
  std::vector<uint16_t> owners;
  const auto ask = [&](const api::ConnectionQuery& query) {
    seen.clear();
    owners.clear();
    table_.query(query, now_, [&](const api::ConnectionState& state, uint16_t owner) {
      seen.push_back(state);
      owners.push_back(owner);
    });
    return seen.size();
  };
  EXPECT_EQ(ask({}), 11U);
  EXPECT_EQ(ask({.limit = 4}), 4U);
  EXPECT_EQ(ask({.first = seen.back().number + 1}), 7U);
  EXPECT_EQ(ask({.address = ip4_address(kClient + 1)}), 5U);
  EXPECT_EQ(ask({.port = 3}), 1U);
  EXPECT_EQ(ask({.address = ip4_address(kClient), .port = 3}), 0U);
  EXPECT_EQ(ask({.address = ip4_address(kBackend), .port = 8080, .protocol = kProtoUdp}), 10U);
  advance(20);
  ASSERT_EQ(ask({.protocol = kProtoTcp}), 1U);
  EXPECT_EQ(owners[0], 5U);
  EXPECT_EQ(seen[0].idle_seconds, 20U);
  EXPECT_EQ(seen[0].left_seconds, 40U);
  EXPECT_EQ(seen[0].client.port, 11U);
  EXPECT_EQ(seen[0].frontend.address, ip4_address(kVip));
  EXPECT_EQ(seen[0].masquerade.address, seen[0].client.address);
  table_.forget_port(5);
  ask({.protocol = kProtoTcp});
  EXPECT_EQ(owners[0], kNoOwner);
}

TEST_F(ConnectionTableTest, ABackendsNumberIsHeldByItsConnections) {
  Connection& connection = add(flow(1));
  EXPECT_EQ(pool_.connections(backend_), 1U);
  pool_.leave(backend_);
  EXPECT_FALSE(pool_.alive(backend_));
  pass_grace();
  EXPECT_EQ(pool_.in_use(), 1U) << "the connection still names it";
  EXPECT_NE(add_backend(kBackend + 5), backend_);
  table_.kill(connection);
  reap();
  pass_grace();
  EXPECT_EQ(pool_.in_use(), 1U);
  EXPECT_EQ(add_backend(kBackend + 6), backend_) << "free again";
}

}  // namespace
}  // namespace weir::dataplane
