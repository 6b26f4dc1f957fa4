// Workers in threads, with ports in memory: forwarding, hand-over between workers,
// sleep, and table changes under traffic.
#include "dataplane/runtime/worker.h"

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <set>
#include <thread>

#include "dataplane/core/checksum.h"
#include "dataplane/core/tsc.h"
#include "dataplane/runtime/dataplane.h"
#include "tests/runtime/fake_port.h"

namespace weir::dataplane {
namespace {

using test::FakePort;
using test::Frame;
using Clock = std::chrono::steady_clock;

constexpr auto kDeadline = std::chrono::seconds(60);  // far beyond what a loaded machine needs

MacAddress pod_mac(uint64_t key) { return {{2, 0, 0, 0, 0, static_cast<uint8_t>(key)}}; }
IpAddress pod_address(uint64_t key) { return ip4_address(0x0a010000 + static_cast<uint32_t>(key)); }

// A UDP datagram from one pod to another; `number` marks it.
Frame datagram(uint64_t from, const IpAddress& to, uint32_t number) {
  Frame frame(200);
  auto* ethernet = reinterpret_cast<EthernetHeader*>(frame.data());
  ethernet->destination = kGatewayMac;
  ethernet->source = pod_mac(from);
  ethernet->ethertype.set(kEtherIp4);
  auto* ip = reinterpret_cast<Ip4Header*>(ethernet + 1);
  ip->version_ihl = 0x45;
  ip->total_length.set(static_cast<uint16_t>(frame.size() - sizeof *ethernet));
  ip->ttl = 64;
  ip->protocol = kProtoUdp;
  ip->source.set_wire(pod_address(from).ip4_wire());
  ip->destination.set_wire(to.ip4_wire());
  ip->checksum.set_wire(header_checksum(*ip));
  auto* udp = reinterpret_cast<UdpHeader*>(ip + 1);
  udp->length.set(static_cast<uint16_t>(frame.size() - sizeof *ethernet - sizeof *ip));
  std::memcpy(frame.data() + frame.size() - sizeof number, &number, sizeof number);
  return frame;
}

uint32_t number_of(const Frame& frame) {
  uint32_t number = 0;
  std::memcpy(&number, frame.data() + frame.size() - sizeof number, sizeof number);
  return number;
}

class WorkerTest : public ::testing::Test {
 protected:
  void start(uint32_t count) {
    const SharedTables tables{registry_.slots(), &fib4_,     &fib6_,    &adjacencies_,
                              &connections_,     &services_, &backends_};
    for (uint32_t i = 0; i < count; ++i) {
      workers_.push_back(*Worker::make({.index = i}, tables, rcu_));
      raw_.push_back(workers_.back().get());
    }
    for (Worker* worker : raw_) worker->meet(raw_);
    registry_.use(raw_);
    for (Worker* worker : raw_) threads_.emplace_back([worker] { worker->run(); });
  }
  void TearDown() override {
    for (Worker* worker : raw_) worker->stop();
    for (std::thread& thread : threads_) thread.join();
    registry_.clear();
    while (rcu_.reclaim() > 0) continue;
  }

  FakePort& add(uint64_t key) {
    api::PortConfig config;
    config.key = key;
    config.kind = api::PortKind::memif;
    config.socket_path[0] = '/';
    config.mtu = 1500;
    config.mac = pod_mac(key);
    config.gateway4 = *parse_address("10.1.255.254");
    config.addresses[0] = pod_address(key);
    config.address_count = 1;
    const auto state = registry_.set(config, {}, 0);
    EXPECT_TRUE(state) << state.error().text;
    return *fakes_.at(key);
  }
  void give(FakePort& port, Frame frame) {
    port.give(std::move(frame));
    for (Worker* worker : raw_) worker->wake();
  }
  // Waits for `condition`, doing the main thread's housekeeping.
  template <class Condition>
  bool eventually(Condition condition) {
    const Clock::time_point end = Clock::now() + kDeadline;
    while (!condition()) {
      if (Clock::now() > end) return false;
      connections_.reap(ticks_at(tsc(), tsc_hz()));
      rcu_.reclaim();
      std::this_thread::yield();
    }
    return true;
  }
  uint64_t drops(Drop reason) { return (*registry_.drops(0))[static_cast<size_t>(reason)]; }
  api::WorkerState state(uint32_t worker) {
    api::WorkerState state;
    raw_[worker]->state(state);
    return state;
  }

  Rcu rcu_{4};
  Fib4 fib4_{rcu_};
  Fib6 fib6_{rcu_};
  Adjacencies adjacencies_{rcu_};
  RouteTable routes_{fib4_, fib6_, adjacencies_};
  BackendPool backends_{rcu_, 64};
  ConnectionTable connections_{rcu_, backends_, {.capacity = 8192, .workers = 4}};
  RoutedFrontends frontends_{routes_, connections_};
  ServiceTable services_{rcu_, backends_, frontends_};
  std::map<uint64_t, FakePort*> fakes_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<Worker*> raw_;
  PortRegistry registry_{rcu_, routes_,
                         [this](const api::PortConfig& config, api::Fd, Worker&) -> Result<std::unique_ptr<Port>> {
                           auto port = std::make_unique<FakePort>();
                           fakes_[config.key] = port.get();
                           return std::unique_ptr<Port>(std::move(port));
                         }};
  std::vector<std::thread> threads_;
};

TEST_F(WorkerTest, RoutesBetweenPortsAndRewrites) {
  start(1);
  FakePort& a = add(1);
  FakePort& b = add(2);
  give(a, datagram(1, pod_address(2), 77));
  ASSERT_TRUE(eventually([&] { return b.sent() == 1; }));
  const Frame frame = b.take()[0];
  const auto* ethernet = reinterpret_cast<const EthernetHeader*>(frame.data());
  EXPECT_EQ(ethernet->destination, pod_mac(2));
  EXPECT_EQ(ethernet->source, kGatewayMac);
  const auto* ip = reinterpret_cast<const Ip4Header*>(ethernet + 1);
  EXPECT_EQ(ip->ttl, 63);
  EXPECT_EQ(header_checksum(*ip), 0);
  EXPECT_EQ(number_of(frame), 77U);
  const api::PortState port = registry_.list()[0];
  EXPECT_EQ(port.counters.rx_packets, 1U);
  EXPECT_EQ(port.counters.drops, 0U);
}

TEST_F(WorkerTest, CountsDropsAtThePortThatSent) {
  start(1);
  FakePort& a = add(1);
  give(a, datagram(9, pod_address(1), 0));  // not its own MAC
  ASSERT_TRUE(eventually([&] { return drops(Drop::source_mac) == 1; }));
  EXPECT_EQ(registry_.list()[0].counters.drops, 1U);
  const auto of_port = registry_.drops(1);
  ASSERT_TRUE(of_port);
  EXPECT_EQ((*of_port)[static_cast<size_t>(Drop::source_mac)], 1U);
}

TEST_F(WorkerTest, CountersOfAReusedNumberStartAtZeroAndTheNodesGoOn) {
  start(1);
  FakePort& a = add(1);
  give(a, datagram(9, pod_address(1), 0));
  ASSERT_TRUE(eventually([&] { return drops(Drop::source_mac) == 1; }));
  const uint32_t index = registry_.list()[0].index;
  registry_.remove(1);
  ASSERT_TRUE(eventually([&] { return rcu_.pending() == 0; }));
  add(2);
  EXPECT_EQ(registry_.list()[0].index, index);
  EXPECT_EQ(registry_.list()[0].counters.drops, 0U);
  EXPECT_EQ(drops(Drop::source_mac), 1U);
}

TEST_F(WorkerTest, SleepsWhenIdleAndWakesForPeersAndCommands) {
  start(1);
  FakePort& a = add(1);
  FakePort& b = add(2);
  ASSERT_TRUE(eventually([&] { return state(0).sleeps > 0; }));
  give(a, datagram(1, pod_address(2), 1));
  ASSERT_TRUE(eventually([&] { return b.sent() == 1; }));
}

TEST_F(WorkerTest, EveryFrameCrossesWorkersWithoutLossOrReordering) {
  start(2);
  FakePort& a = add(1);
  FakePort& b = add(2);
  ASSERT_NE(registry_.list()[0].worker, registry_.list()[1].worker);
  constexpr uint32_t kFrames = 3000;
  uint32_t received = 0;
  for (uint32_t number = 0; number < kFrames; ++number) {
    give(a, datagram(1, pod_address(2), number));
    // Bounded in flight, so that the ring between the workers never fills.
    ASSERT_TRUE(eventually([&] {
      for (const Frame& frame : b.take()) EXPECT_EQ(number_of(frame), received++);
      return number + 1 - received < 256;
    }));
  }
  ASSERT_TRUE(eventually([&] {
    for (const Frame& frame : b.take()) EXPECT_EQ(number_of(frame), received++);
    return received == kFrames;
  }));
  EXPECT_EQ(state(0).handoffs + state(1).handoffs, kFrames);
}

// What its receiver answers: the same from there to here.
Frame answer_to(Frame frame, uint64_t from) {
  auto* ethernet = reinterpret_cast<EthernetHeader*>(frame.data());
  ethernet->destination = kGatewayMac;
  ethernet->source = pod_mac(from);
  auto* ip = reinterpret_cast<Ip4Header*>(ethernet + 1);
  std::swap(ip->source, ip->destination);
  auto* udp = reinterpret_cast<UdpHeader*>(ip + 1);
  std::swap(udp->source, udp->destination);
  return frame;
}

void set_ports(Frame& frame, uint16_t source, uint16_t destination) {
  auto* udp = reinterpret_cast<UdpHeader*>(frame.data() + sizeof(EthernetHeader) + sizeof(Ip4Header));
  udp->source.set(source);
  udp->destination.set(destination);
}

// Each connection is made by the client's worker and found by the backend's.
TEST_F(WorkerTest, EveryReplyOfAServiceCrossesWorkers) {
  start(2);
  FakePort& client = add(1);
  FakePort& backend = add(2);
  ASSERT_NE(registry_.list()[0].worker, registry_.list()[1].worker);
  const IpAddress vip = *parse_address("10.96.0.1");
  ASSERT_TRUE(services_.set_backend({.group = 1,
                                     .address = pod_address(2),
                                     .port = 8080,
                                     .flags = api::kListFirst | api::kListLast}));
  ASSERT_TRUE(services_.set_frontend({.key = {.address = vip, .port = 80, .protocol = kProtoUdp},
                                      .kind = api::FrontendKind::cluster_ip,
                                      .group_inside = 1,
                                      .group_outside = 1}));
  connections_.set_quota(8000);
  constexpr uint16_t kFlows = 3000;
  std::set<uint32_t> answered;
  const auto pass_on = [&] {
    for (Frame& frame : backend.take()) {
      const auto* ip = reinterpret_cast<const Ip4Header*>(frame.data() + sizeof(EthernetHeader));
      EXPECT_EQ(ip->destination.wire(), pod_address(2).ip4_wire());
      give(backend, answer_to(std::move(frame), 2));
    }
    for (const Frame& frame : client.take()) {
      const auto* ip = reinterpret_cast<const Ip4Header*>(frame.data() + sizeof(EthernetHeader));
      const auto* udp = reinterpret_cast<const UdpHeader*>(ip + 1);
      EXPECT_EQ(ip->source.wire(), vip.ip4_wire());
      EXPECT_EQ(udp->source.host(), 80);
      EXPECT_EQ(udp->destination.host(), 1000 + number_of(frame));
      EXPECT_EQ(header_checksum(*ip), 0);
      answered.insert(number_of(frame));
    }
  };
  for (uint32_t number = 0; number < kFlows; ++number) {
    Frame request = datagram(1, vip, number);
    set_ports(request, static_cast<uint16_t>(1000 + number), 80);
    give(client, std::move(request));
    ASSERT_TRUE(eventually([&] {
      pass_on();
      return number + 1 - answered.size() < 256;
    }));
  }
  ASSERT_TRUE(eventually([&] {
    pass_on();
    return answered.size() == kFlows;
  })) << answered.size() << " answered";
  EXPECT_EQ(connections_.stats().created, kFlows);
}

TEST_F(WorkerTest, TableChangesLoseNoPacket) {
  start(1);
  FakePort& a = add(1);
  FakePort& b = add(2);
  constexpr uint32_t kFrames = 2000;
  uint32_t received = 0;
  for (uint32_t number = 0; number < kFrames; ++number) {
    give(a, datagram(1, pod_address(2), number));
    api::Route route;
    route.prefix = make_prefix(ip4_address(0x0a010000 + (number % 7) * 256), 24);
    route.kind = number % 2 == 0 ? api::RouteKind::blackhole : api::RouteKind::unreachable;
    ASSERT_TRUE(routes_.set(route));
    if (number % 3 == 0) {
      ASSERT_TRUE(routes_.erase(route.prefix));
    }
    if (number % 10 == 0) registry_.remove(100 + (number - 10) % 50);
    if (number % 10 == 0) add(100 + number % 50);
    rcu_.reclaim();
  }
  ASSERT_TRUE(eventually([&] {
    for (const Frame& frame : b.take()) EXPECT_EQ(number_of(frame), received++);
    return received == kFrames;
  }));
}

TEST_F(WorkerTest, APortRemovedUnderTrafficHarmsNobody) {
  start(2);
  FakePort& a = add(1);
  FakePort& b = add(2);
  std::set<uint32_t> seen;
  for (uint32_t round = 0; round < 300; ++round) {
    add(3);
    give(a, datagram(1, pod_address(3), round));
    give(a, datagram(1, pod_address(2), round));
    registry_.remove(3);
    rcu_.reclaim();
  }
  ASSERT_TRUE(eventually([&] {
    for (const Frame& frame : b.take()) seen.insert(number_of(frame));
    return seen.size() == 300;
  }));
  ASSERT_TRUE(eventually([&] { return rcu_.pending() == 0; }));
  EXPECT_EQ(registry_.size(), 2U);
}

TEST_F(WorkerTest, TracesAPacketThroughTheStages) {
  start(1);
  FakePort& a = add(1);
  FakePort& b = add(2);
  raw_[0]->trace({.port_key = 1, .packets = 2});
  // A sweep that had begun may take a packet before the worker knows of the trace.
  const auto sweeps = [&] {
    api::WorkerState state;
    raw_[0]->state(state);
    return state.sweeps;
  };
  const uint64_t before = sweeps();
  ASSERT_TRUE(eventually([&] { return sweeps() > before + 1; }));
  give(a, datagram(1, pod_address(2), 1));
  std::vector<api::TraceRecord> records;
  ASSERT_TRUE(eventually([&] {
    raw_[0]->read_trace(records);
    return !records.empty() && api::get_text(records.back().verdict) == "sent";
  }));
  std::vector<std::string> stages;
  for (const auto& record : records) stages.push_back(api::get_text(record.stage));
  EXPECT_EQ(stages, (std::vector<std::string>{"rx", "express", "route", "rewrite", "mtu", "tx"}));
  EXPECT_EQ(records.back().out_key, 2U);
  records.clear();
  give(a, datagram(9, pod_address(2), 2));
  ASSERT_TRUE(eventually([&] {
    raw_[0]->read_trace(records);
    return !records.empty() && api::get_text(records.back().verdict) == "source_mac";
  }));
  EXPECT_EQ(b.sent(), 1U);
}

}  // namespace
}  // namespace weir::dataplane
