// Services over several packets: what stays, what moves, and what is forgotten.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/dataplane/ends.h"
#include "tests/dataplane/services.h"

namespace weir::dataplane::test {
namespace {

constexpr std::string_view kBackendA = "192.0.2.1";
constexpr std::string_view kBackendB = "192.0.2.2";
constexpr size_t kDestination = 14 + 16;  // of an IPv4 header in a frame
constexpr size_t kSourcePort = 14 + 20;

Bytes datagram(uint16_t source_port, std::string_view to = kVip4, uint16_t port = 80) {
  return sent4(
      ip4({.destination = to}, udp(filler(10), {.source = source_port, .destination = port})));
}

Bytes segment(uint16_t source_port, uint8_t flags) {
  return sent4(ip4({.destination = kVip4, .protocol = kProtoTcp},
                   tcp(filler(10), {.source = source_port, .destination = 80, .flags = flags})));
}

class Services : public testing::Test {
 protected:
  Services() { set_backends({{kBackendA, 8080}, {kBackendB, 8080}}); }

  void set_backends(std::initializer_list<End> backends) { set_group(lab_, 1, backends); }
  void serve_vip(const Fields& fields = {}) { set_frontend(lab_, {kVip4, 80}, 1, fields); }

  // Where a frame went; empty when it was not sent to a backend.
  std::string backend_of(const Bytes& frame) {
    const Outcome outcome = lab_.run(frame);
    if (outcome.frames.size() != 1 || outcome.out_port != kHost) return "";
    IpAddress address{.family = Family::ip4};
    std::copy_n(outcome.frames[0].begin() + kDestination, 4, address.bytes.begin());
    return to_string(address);
  }
  Drop dropped(const Bytes& frame) {
    const Outcome outcome = lab_.run(frame);
    return outcome.drops.empty() ? Drop::count : outcome.drops.begin()->first;
  }
  // A source port whose flow goes to `backend`.
  uint16_t port_to(std::string_view backend) {
    for (uint16_t port = 5000; port < 5100; ++port) {
      if (backend_of(datagram(port)) == backend) return port;
    }
    ADD_FAILURE() << "no flow goes to " << backend;
    return 0;
  }

  Lab lab_;
};

TEST_F(Services, FlowsAreSpreadAndEachStays) {
  serve_vip();
  std::map<std::string, int> count;
  for (uint16_t port = 1; port <= 100; ++port) {
    const std::string first = backend_of(datagram(port));
    ++count[first];
    EXPECT_EQ(backend_of(datagram(port)), first);
  }
  EXPECT_GT(count[std::string(kBackendA)], 30);
  EXPECT_GT(count[std::string(kBackendB)], 30);
  EXPECT_EQ(lab_.connections().stats().created, 100U);
}

TEST_F(Services, UdpMovesAwayFromARemovedBackendWithItsNextDatagram) {
  serve_vip();
  const uint16_t port = port_to(kBackendA);
  set_backends({{kBackendB, 8080}});
  EXPECT_EQ(backend_of(datagram(port)), kBackendB);
  EXPECT_EQ(lab_.connections().stats().repicked, 1U);
}

TEST_F(Services, AnOpenConnectionFollowsItsRoutes) {
  serve_vip();
  const Bytes frame = datagram(port_to(kBackendA));
  const uint64_t created = lab_.connections().stats().created;
  EXPECT_EQ(lab_.run(frame).out_port, kHost);
  const std::string route = std::string(kBackendA) + "/32";
  lab_.add_route(route, {.kind = AdjacencyKind::port, .port = kPodC});
  EXPECT_EQ(lab_.run(frame).out_port, kPodC);
  EXPECT_EQ(lab_.run(frame).out_port, kPodC);
  lab_.add_route(route, {.kind = AdjacencyKind::unreachable});
  EXPECT_EQ(dropped(frame), Drop::route_unreachable);
  EXPECT_EQ(dropped(frame), Drop::route_unreachable);
  lab_.add_route(route, {.kind = AdjacencyKind::port, .port = kHost});
  EXPECT_EQ(lab_.run(frame).out_port, kHost);
  EXPECT_EQ(lab_.connections().stats().created, created);
}

TEST_F(Services, UdpComesBackAfterAServiceHadNoBackend) {
  serve_vip();
  const uint16_t port = port_to(kBackendA);
  set_backends({});
  EXPECT_EQ(dropped(datagram(port)), Drop::service_no_backend);
  set_backends({{kBackendB, 8080}});
  EXPECT_EQ(backend_of(datagram(port)), kBackendB);
}

TEST_F(Services, OpenTcpGoesOnToARemovedBackend) {
  serve_vip({.protocol = kProtoTcp});
  const std::string first = backend_of(segment(4000, kTcpSyn));
  lab_.run(
      sent4(ip4({.source = first, .destination = "10.1.0.2", .protocol = kProtoTcp},
                tcp(filler(0), {.source = 8080, .destination = 4000, .flags = kTcpSyn | kTcpAck})),
            from(kMacHost)),
      kHost);
  set_backends({{"192.0.2.3", 8080}});
  EXPECT_EQ(backend_of(segment(4000, kTcpAck)), first);
  EXPECT_EQ(backend_of(segment(4000, kTcpSyn)), first);  // a repeated SYN is of the same connection
}

TEST_F(Services, TcpThatNobodyAnsweredTriesAnotherBackend) {
  serve_vip({.protocol = kProtoTcp});
  EXPECT_NE(backend_of(segment(4000, kTcpSyn)), "");
  set_backends({{"192.0.2.3", 8080}});
  EXPECT_EQ(backend_of(segment(4000, kTcpSyn)), "192.0.2.3");
}

TEST_F(Services, ANewSynOnAnEndedConnectionOpensAnother) {
  serve_vip({.protocol = kProtoTcp});
  backend_of(segment(4000, kTcpSyn));
  backend_of(segment(4000, kTcpRst));
  set_backends({{"192.0.2.3", 8080}});
  EXPECT_EQ(backend_of(segment(4000, kTcpSyn)), "192.0.2.3");
  EXPECT_EQ(lab_.connections().stats().created, 2U);
}

TEST_F(Services, AffinityKeepsAClientAtItsBackendUntilThatIsGone) {
  serve_vip({.affinity = 7, .affinity_seconds = 100});
  const std::string first = backend_of(datagram(1));
  for (uint16_t port = 2; port < 40; ++port) EXPECT_EQ(backend_of(datagram(port)), first);
  set_backends({{"192.0.2.3", 8080}});
  EXPECT_EQ(backend_of(datagram(50)), "192.0.2.3");
  set_backends({{"192.0.2.3", 8080}, {first, 8080}});
  for (uint16_t port = 51; port < 80; ++port) EXPECT_EQ(backend_of(datagram(port)), "192.0.2.3");
}

TEST_F(Services, AffinityEndsWithItsTime) {
  serve_vip({.affinity = 7, .affinity_seconds = 100});
  const std::string first = backend_of(datagram(1));
  lab_.context().ticks += 101 * kTicksPerSecond;
  bool moved = false;
  for (uint16_t port = 2; port < 40 && !moved; ++port) {
    moved = backend_of(datagram(port)) != first;
    lab_.context().ticks += 101 * kTicksPerSecond;
  }
  EXPECT_TRUE(moved);
}

TEST_F(Services, AGroupForClientsOutsideServesThemAlone) {
  set_group(lab_, 2, {{"10.1.0.3", 8080}});
  serve_vip({.outside = 2});
  const Outcome outside = lab_.run(sent4(ip4({.source = "192.0.2.77", .destination = kVip4},
                                             udp(filler(10), {.destination = 80})),
                                         from(kMacHost)),
                                   kHost);
  EXPECT_EQ(outside.out_port, kPodB);
  EXPECT_NE(backend_of(datagram(1)), "");
}

// The client uses its port with this backend already, so another stands for it.
TEST_F(Services, TwoFrontendsOfOneBackendTellAClientsConnectionsApart) {
  set_backends({{kBackendA, 8080}});
  serve_vip();
  set_frontend(lab_, {kVip4, 81}, 1);
  const auto source_port = [](const Outcome& outcome) {
    return outcome.frames.at(0)[kSourcePort] * 256 + outcome.frames.at(0)[kSourcePort + 1];
  };
  EXPECT_EQ(source_port(lab_.run(datagram(4000))), 4000);
  const int other = source_port(lab_.run(datagram(4000, kVip4, 81)));
  EXPECT_NE(other, 4000);
  const Outcome reply = lab_.run(
      sent4(ip4({.source = kBackendA, .destination = "10.1.0.2"},
                udp(filler(10), {.source = 8080, .destination = static_cast<uint16_t>(other)})),
            from(kMacHost)),
      kHost);
  EXPECT_EQ(reply.frames.at(0), routed4(ip4({.source = kVip4, .destination = "10.1.0.2", .ttl = 63},
                                            udp(filler(10), {.source = 81, .destination = 4000})),
                                        kMacA));
}

TEST_F(Services, PacketsOfOneNewFlowInOneVectorShareAConnection) {
  serve_vip();
  Vector& vector = lab_.vector();
  for (uint16_t i = 0; i < 8; ++i) {
    lab_.fill(vector.packets[i], datagram(4000));
    vector.packets[i].in_port = kPodA;
  }
  vector.start(8);
  run_pipeline<false>(vector, lab_.context(), lab_.counters(), nullptr);
  EXPECT_EQ(vector.queue(Next::tx).count, 8);
  EXPECT_EQ(lab_.connections().stats().created, 1U);
}

class Stages final : public TraceSink {
 public:
  void step(const Packet&, size_t, Next stage, Next) noexcept override { seen_.insert(stage); }
  bool seen(Next stage) const { return seen_.contains(stage); }

 private:
  std::set<Next> seen_;
};

TEST_F(Services, OnlyPacketsThatMayBeOfAConnectionAreLookedUp) {
  serve_vip();
  ASSERT_NE(backend_of(datagram(4000)), "");
  Stages known;
  lab_.run(datagram(4000), kPodA, {}, &known);
  EXPECT_TRUE(known.seen(Next::connection));
  Stages plain;
  EXPECT_EQ(lab_.run(sent4(ip4({}, udp(filler(10)))), kPodA, {}, &plain).out_port, kPodB);
  EXPECT_FALSE(plain.seen(Next::connection));
}

// What becomes of `flows` connections of a host outside: how many were refused, and why.
std::map<Drop, uint64_t> flood(Lab& lab, std::string_view source, uint16_t flows,
                               uint16_t first_port = 1) {
  const bool ip6 = source.find(':') != std::string_view::npos;
  std::map<Drop, uint64_t> drops;
  for (uint16_t port = first_port; port < first_port + flows; ++port) {
    const Ends ends{source, port, ip6 ? kVip6 : kVip4, 80};
    for (const auto& [drop, count] : lab.run(in_frame(ends, kMacHost), kHost).drops)
      drops[drop] += count;
  }
  return drops;
}

TEST_F(Services, AFloodFromOutsideLeavesPodsTheirHalf) {
  Lab lab(64);
  lab.connections().set_outside_quota(32);
  serve_one(lab);
  for (const std::string_view source : {"192.0.2.1", "192.0.2.2", "192.0.2.3"})
    flood(lab, source, 100);
  EXPECT_LE(lab.connections().stats().created, 32U);
  EXPECT_EQ(lab.run(datagram(1)).out_port, kPodB);
}

// A host has at most as many as are still free: half of 32, half of the rest, and so on.
TEST_F(Services, AFloodOfOneHostOutsideLeavesRoomForOthers) {
  using Drops = std::map<Drop, uint64_t>;
  Lab lab(64);
  lab.connections().set_outside_quota(32);
  serve_one(lab);
  EXPECT_EQ(flood(lab, "192.0.2.1", 100), (Drops{{Drop::connection_quota_host, 84}}));
  EXPECT_EQ(flood(lab, "192.0.2.2", 8), Drops{});
  EXPECT_EQ(flood(lab, "192.0.2.1", 10, 1000), (Drops{{Drop::connection_quota_host, 10}}));
  EXPECT_EQ(flood(lab, "2001:db8::1", 4), Drops{});
  EXPECT_EQ(flood(lab, "2001:db8::2", 1), (Drops{{Drop::connection_quota_host, 1}}));
  EXPECT_EQ(flood(lab, "2001:db8:0:1::1", 2), Drops{});
  // All are forgotten in time, and the flood may begin anew.
  lab.context().ticks += 200 * kTicksPerSecond;
  for (int i = 0; i < 3; ++i) {
    lab.connections().reap(lab.context().ticks, 2048);
    lab.reap();
  }
  EXPECT_EQ(flood(lab, "192.0.2.1", 100), (Drops{{Drop::connection_quota_host, 84}}));
}

TEST_F(Services, AFloodOfFragmentsPushesOutItsOwnPortsAlone) {
  FragmentTable table(1000);
  const auto key = [](uint16_t id) { return FlowKey{.source_port = id, .family = Family::ip4}; };
  table.remember(1, key(1), key(100), 0);
  for (uint16_t id = 0; id < 60000; ++id) table.remember(2, key(id), key(200), 1);
  ASSERT_NE(table.find(1, key(1), 999), nullptr);
  EXPECT_EQ(*table.find(1, key(1), 999), key(100));
  EXPECT_EQ(table.find(1, key(1), 1000), nullptr);
}

}  // namespace
}  // namespace weir::dataplane::test
