// Cycles per packet of each stage and of the whole pipeline, ports left out. All of it is
// cache-warm: one vector, two pods, a handful of routes. Run it pinned to a core:
//   taskset -c 1 build/bench/stages/stage_cost
// The numbers are TSC cycles. Those of one stage include its share of the loop around it.
#include <benchmark/benchmark.h>

#include <optional>

#include "bench/stages/vector_traffic.h"
#include "dataplane/core/tsc.h"
#include "tests/dataplane/services.h"

namespace weir::dataplane {
namespace {

using test::Bytes;
using test::Lab;
using bench::VectorTraffic;

const Bytes& udp4() {
  static const Bytes frame = test::eth(kEtherIp4, test::ip4({}, test::udp(test::filler(22))));
  return frame;
}
const Bytes& udp6() {
  static const Bytes frame = test::eth(kEtherIp6, test::ip6({}, test::udp(test::filler(22))));
  return frame;
}
const Bytes& tcp6() {
  static const Bytes frame =
      test::eth(kEtherIp6, test::ip6({.next_header = kProtoTcp}, test::tcp(test::filler(1000))));
  return frame;
}
const Bytes& echo4() {
  static const Bytes frame = test::eth(
      kEtherIp4, test::ip4({.destination = "10.1.0.1", .protocol = kProtoIcmp4}, test::icmp()));
  return frame;
}
const Bytes& spoofed4() {
  static const Bytes frame =
      test::eth(kEtherIp4, test::ip4({.source = "10.1.0.3"}, test::udp(test::filler(22))));
  return frame;
}

void report_stages(benchmark::State& state, const PipelineCounters& counters, uint64_t cycles,
                   uint64_t packets) {
  for (size_t i = 0; i < kStageCount; ++i) {
    const auto seen = static_cast<double>(counters[i].packets.get());
    if (seen == 0) continue;
    state.counters[std::string(kStageNames[i])] =
        static_cast<double>(counters[i].cycles.get()) / seen;
  }
  state.counters["cycles/packet"] = static_cast<double>(cycles) / static_cast<double>(packets);
  state.SetItemsProcessed(static_cast<int64_t>(packets));
  state.SetLabel("cache-warm");
}

void pipeline(benchmark::State& state, const Bytes& frame) {
  Lab lab;
  const auto count = static_cast<uint16_t>(state.range(0));
  VectorTraffic traffic(lab, frame, count);
  uint64_t cycles = 0;
  uint64_t packets = 0;
  for (auto _ : state) {
    traffic.receive();
    const uint64_t start = __rdtsc();
    run_pipeline<false>(lab.vector(), lab.context(), lab.counters(), nullptr);
    cycles += __rdtsc() - start;
    packets += count;
    lab.vector().queue(Next::tx).count = 0;
    settle(lab.vector(), lab.context());
  }
  report_stages(state, lab.counters(), cycles, packets);
}

void pipeline_udp4(benchmark::State& state) { pipeline(state, udp4()); }
void pipeline_udp6(benchmark::State& state) { pipeline(state, udp6()); }
void pipeline_tcp6_1060(benchmark::State& state) { pipeline(state, tcp6()); }
void pipeline_echo4(benchmark::State& state) { pipeline(state, echo4()); }
void pipeline_spoofed4(benchmark::State& state) { pipeline(state, spoofed4()); }
BENCHMARK(pipeline_udp4)->Arg(1)->Arg(8)->Arg(32)->Arg(64);
BENCHMARK(pipeline_udp6)->Arg(1)->Arg(8)->Arg(32)->Arg(64);
BENCHMARK(pipeline_tcp6_1060)->Arg(64);
BENCHMARK(pipeline_echo4)->Arg(64);
BENCHMARK(pipeline_spoofed4)->Arg(64);

// --- services

// Flows of one client to one service; the frames differ in their source port alone.
class ServiceTraffic {
 public:
  explicit ServiceTraffic(Lab& lab) : lab_(lab) {
    test::serve_one(lab);
    lab.connections().set_quota(UINT32_MAX);
    // Without a UDP checksum, as its update is not what is measured.
    const Bytes frame = test::eth(
        kEtherIp4, test::ip4({.destination = test::kVip4, .l4_checksum = false},
                             test::udp(test::filler(22), {.destination = 80})));
    traffic_.emplace(lab, frame, kVectorSize);
  }
  // A vector of kVectorSize flows from `first` on, which number source ports and addresses.
  void receive(uint32_t first) {
    traffic_->receive();
    for (uint16_t i = 0; i < kVectorSize; ++i) {
      Packet& packet = lab_.vector().packets[i];
      const uint32_t flow = first + i;
      store(packet.data() + 34, static_cast<uint16_t>(flow));
      if (flow >> 16 == 0) continue;
      // 64512 ports and some addresses: behind the trusted port any source may come.
      packet.in_port = test::kHost;
      auto& ip = *packet.header<Ip4Header>(14);
      const auto before = load<uint16_t>(&ip.source.raw[2]);
      ip.source.raw[2] = static_cast<uint8_t>(flow >> 16);
      update_checksum(ip.checksum, before, load<uint16_t>(&ip.source.raw[2]));
    }
  }

 private:
  Lab& lab_;
  std::optional<VectorTraffic> traffic_;
};

uint64_t run_vector(Lab& lab) {
  const uint64_t start = __rdtsc();
  run_pipeline<false>(lab.vector(), lab.context(), lab.counters(), nullptr);
  const uint64_t cycles = __rdtsc() - start;
  lab.vector().queue(Next::tx).count = 0;
  settle(lab.vector(), lab.context());
  return cycles;
}

// Packets of so many open connections, one after the other. Compare with pipeline_udp4/64.
void service_hit(benchmark::State& state) {
  const auto flows = static_cast<uint32_t>(state.range(0));
  Lab lab(1U << 20);
  ServiceTraffic traffic(lab);
  const auto round = [&](uint32_t first) {
    traffic.receive(first);
    return run_vector(lab);
  };
  for (uint32_t first = 0; first < flows; first += kVectorSize) {
    round(first);
    lab.reap();
  }
  const uint64_t created = lab.connections().stats().created;
  if (created != flows) state.SkipWithError("not every connection was made");
  uint64_t cycles = 0;
  uint64_t packets = 0;
  uint32_t first = 0;
  for (auto _ : state) {
    cycles += round(first);
    packets += kVectorSize;
    first = first + kVectorSize < flows ? first + kVectorSize : 0;
  }
  report_stages(state, lab.counters(), cycles, packets);
}
BENCHMARK(service_hit)->Arg(64)->Arg(64 << 10)->Arg(512 << 10);

// First packets of connections: pick, record, translate. The table is emptied between.
void service_open(benchmark::State& state) {
  constexpr uint32_t kFlows = 512U << 10;
  uint64_t cycles = 0;
  uint64_t packets = 0;
  auto lab = std::make_unique<Lab>(1U << 20);
  auto traffic = std::make_unique<ServiceTraffic>(*lab);
  uint32_t first = 0;
  for (auto _ : state) {
    if (first == kFlows) {
      state.PauseTiming();
      lab = std::make_unique<Lab>(1U << 20);
      traffic = std::make_unique<ServiceTraffic>(*lab);
      first = 0;
      state.ResumeTiming();
    }
    traffic->receive(first);
    cycles += run_vector(*lab);
    first += kVectorSize;
    packets += kVectorSize;
    lab->reap();
  }
  state.counters["cycles/packet"] = static_cast<double>(cycles) / static_cast<double>(packets);
  state.counters["made/s"] = static_cast<double>(packets) * static_cast<double>(tsc_hz()) / static_cast<double>(cycles);
  state.SetItemsProcessed(static_cast<int64_t>(packets));
}
BENCHMARK(service_open);

// A super-frame of the given size for a port without offload: cost of one segment.
void cut_tcp4(benchmark::State& state) {
  Lab lab;
  const Bytes frame =
      test::eth(kEtherIp4, test::ip4({.protocol = kProtoTcp},
                                     test::tcp(test::filler(static_cast<size_t>(state.range(0))))));
  Packet packet;
  lab.fill(packet, frame, 4096);
  packet.reset_parse();
  packet.family = Family::ip4;
  packet.l3_offset = 14;
  packet.l4_offset = 34;
  packet.offload = {.partial_checksum = true, .gso = Gso::tcp4, .segment_size = 1448};
  PieceScratch scratch;
  uint64_t segments = 0;
  const uint64_t start = __rdtsc();
  for (auto _ : state) {
    const Drop verdict = for_each_piece(packet, false, scratch, [&](Packet& piece) {
      benchmark::DoNotOptimize(piece.length);
      ++segments;
      return true;
    });
    benchmark::DoNotOptimize(verdict);
  }
  state.counters["cycles/segment"] =
      static_cast<double>(__rdtsc() - start) / static_cast<double>(segments);
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * state.range(0));
  state.SetLabel("cache-warm");
}
BENCHMARK(cut_tcp4)->Arg(4000)->Arg(64000);

}  // namespace
}  // namespace weir::dataplane

BENCHMARK_MAIN();
