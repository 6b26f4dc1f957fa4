// Cycles per packet to and from services, all stages, ports left out:
//   taskset -c 1 build/bench/stages/stage_cost --benchmark_filter=service
//
// service_ratio/D/F: vectors of open connections between vectors of plainly routed packets,
//   64 flows each; D 0: client to service, 1: reply; F: 4 or 6. Medians, and their ratio.
// service_bystander/F/N: routed packets of 64 flows where others have N connections to services.
// service_hit/D/N: the same of N open connections in random order.
// service_open: first packets of UDP flows: pick, record, translate.
#include <optional>

#include "bench/stages/pipeline_run.h"
#include "bench/stages/vector_traffic.h"
#include "dataplane/core/tsc.h"
#include "tests/dataplane/services.h"

namespace weir::dataplane {
namespace {

using bench::run_vector;
using bench::VectorCycles;
using bench::VectorTraffic;
using test::Bytes;
using test::Lab;

constexpr uint16_t kServices = 16;
constexpr uint32_t kClientPorts = 1U << 16;
constexpr uint32_t kMostFlows = kServices * kClientPorts;
constexpr uint16_t kFrontendPort = 80;
constexpr uint16_t kBackendPort = 8080;

Bytes routed(Family family) {
  const Bytes udp = test::udp(test::filler(22));
  return family == Family::ip4 ? test::eth(kEtherIp4, test::ip4({}, udp))
                               : test::eth(kEtherIp6, test::ip6({}, udp));
}
Bytes request(Family family) {
  const Bytes udp = test::udp(test::filler(22));
  return family == Family::ip4 ? test::eth(kEtherIp4, test::ip4({.destination = test::kVip4}, udp))
                               : test::eth(kEtherIp6, test::ip6({.destination = test::kVip6}, udp));
}
Bytes reply(Family family) {
  const test::Eth from_pod_b{.source = test::mac("02:00:00:00:00:0b")};
  const Bytes udp = test::udp(test::filler(22));
  return family == Family::ip4
             ? test::eth(kEtherIp4,
                         test::ip4({.source = "10.1.0.3", .destination = "10.1.0.2"}, udp),
                         from_pod_b)
             : test::eth(kEtherIp6, test::ip6({.source = "fd00::3", .destination = "fd00::2"}, udp),
                         from_pod_b);
}

// Services on so many ports of an address, each with a port of pod B behind it.
void serve_all(Lab& lab) {
  lab.connections().set_quota(UINT32_MAX);
  for (uint16_t i = 0; i < kServices; ++i) {
    const auto backend = static_cast<uint16_t>(kBackendPort + i);
    const auto frontend = static_cast<uint16_t>(kFrontendPort + i);
    test::set_group(lab, 2U * i + 1, {{"10.1.0.3", backend}});
    test::set_group(lab, 2U * i + 2, {{"fd00::3", backend}});
    test::set_frontend(lab, {test::kVip4, frontend}, 2U * i + 1);
    test::set_frontend(lab, {test::kVip6, frontend}, 2U * i + 2);
  }
}

// Packets of flows between pod A and the services: a flow's number is its client port and,
// above that, its service. The ports change under the UDP checksum, which nobody verifies.
class FlowTraffic {
 public:
  FlowTraffic(Lab& lab, Family family, Direction direction)
      : lab_(lab),
        direction_(direction),
        l4_(sizeof(EthernetHeader) +
            (family == Family::ip4 ? sizeof(Ip4Header) : sizeof(Ip6Header))),
        traffic_(lab, direction == Direction::forward ? request(family) : reply(family),
                 kVectorSize, direction == Direction::forward ? test::kPodA : test::kPodB) {}

  // A vector of flows `first`, `first` + `step` and so on, below `flows`, a power of two.
  void receive(uint32_t first, uint32_t step = 1, uint32_t flows = kMostFlows) {
    traffic_.receive();
    for (uint32_t i = 0; i < kVectorSize; ++i) {
      const uint32_t flow = (first + i * step) & (flows - 1);
      Packet& packet = lab_.vector().packets[i];
      const auto client = static_cast<uint16_t>(flow);
      const bool forward = direction_ == Direction::forward;
      const auto other = __builtin_bswap16(
          static_cast<uint16_t>((forward ? kFrontendPort : kBackendPort) + flow / kClientPorts));
      store(packet.data() + l4_, ports_word(forward ? client : other, forward ? other : client));
    }
  }

 private:
  Lab& lab_;
  Direction direction_;
  size_t l4_;
  VectorTraffic traffic_;
};

// False when not every flow got a connection.
bool open(Lab& lab, Family family, uint32_t flows) {
  FlowTraffic traffic(lab, family, Direction::forward);
  for (uint32_t first = 0; first < flows; first += kVectorSize) {
    traffic.receive(first);
    run_vector(lab);
    lab.reap();
  }
  return lab.connections().stats().created == flows;
}

// Vectors that `receive` puts into `lab`, between vectors of a lab without services.
void compare_with_routed(benchmark::State& state, Family family, Lab& lab, auto receive) {
  Lab plain;
  VectorTraffic plain_traffic(plain, routed(family), kVectorSize);
  VectorCycles without;
  VectorCycles with;
  for (auto _ : state) {
    plain_traffic.receive();
    without.add(run_vector(plain));
    receive();
    with.add(run_vector(lab));
  }
  state.counters["routed"] = without.median() / kVectorSize;
  state.counters["service"] = with.median() / kVectorSize;
  state.counters["ratio"] = with.median() / without.median();
  state.SetLabel("cache-warm");
}

void service_ratio(benchmark::State& state) {
  const auto direction = static_cast<Direction>(state.range(0));
  const auto family = static_cast<Family>(state.range(1));
  Lab lab;
  serve_all(lab);
  if (!open(lab, family, kVectorSize)) state.SkipWithError("not every connection was made");
  FlowTraffic traffic(lab, family, direction);
  compare_with_routed(state, family, lab, [&] { traffic.receive(0); });
}
BENCHMARK(service_ratio)->ArgsProduct({{0, 1}, {4, 6}});

void service_bystander(benchmark::State& state) {
  const auto family = static_cast<Family>(state.range(0));
  const auto connections = static_cast<uint32_t>(state.range(1));
  Lab lab(2 * kMostFlows);
  serve_all(lab);
  if (!open(lab, family, connections)) state.SkipWithError("not every connection was made");
  VectorTraffic traffic(lab, routed(family), kVectorSize);
  const size_t source_port =
      sizeof(EthernetHeader) + (family == Family::ip4 ? sizeof(Ip4Header) : sizeof(Ip6Header));
  compare_with_routed(state, family, lab, [&] {
    traffic.receive();
    for (uint16_t i = 0; i < kVectorSize; ++i)
      store(lab.vector().packets[i].data() + source_port, i);
  });
}
BENCHMARK(service_bystander)->ArgsProduct({{4, 6}, {64, 10'048, 100'032}});

void service_hit(benchmark::State& state) {
  const auto direction = static_cast<Direction>(state.range(0));
  const auto flows = static_cast<uint32_t>(state.range(1));
  constexpr uint32_t kStep = 0x9e37'79b1;  // odd: visits every flow, none near the one before
  Lab lab(2 * kMostFlows);
  serve_all(lab);
  if (!open(lab, Family::ip4, flows)) state.SkipWithError("not every connection was made");
  FlowTraffic traffic(lab, Family::ip4, direction);
  VectorCycles vectors;
  uint32_t first = 0;
  for (auto _ : state) {
    traffic.receive(first, kStep, flows);
    vectors.add(run_vector(lab));
    first += kVectorSize * kStep;
  }
  state.counters["median"] = vectors.median() / kVectorSize;
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * kVectorSize);
}
BENCHMARK(service_hit)->ArgsProduct({{0, 1}, {1 << 10, 1 << 16, 1 << 20}});

// The table is emptied between rounds.
void service_open(benchmark::State& state) {
  constexpr uint32_t kFlows = 512U << 10;
  std::optional<Lab> lab;
  std::optional<FlowTraffic> traffic;
  VectorCycles vectors;
  uint32_t first = kFlows;
  for (auto _ : state) {
    if (first == kFlows) {
      state.PauseTiming();
      traffic.reset();
      lab.emplace(1U << 20);
      serve_all(*lab);
      traffic.emplace(*lab, Family::ip4, Direction::forward);
      first = 0;
      state.ResumeTiming();
    }
    traffic->receive(first);
    vectors.add(run_vector(*lab));
    first += kVectorSize;
    lab->reap();
  }
  const double cycles = vectors.median() / kVectorSize;
  state.counters["median"] = cycles;
  state.counters["made/s"] = static_cast<double>(tsc_hz()) / cycles;
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * kVectorSize);
}
BENCHMARK(service_open);

}  // namespace
}  // namespace weir::dataplane
