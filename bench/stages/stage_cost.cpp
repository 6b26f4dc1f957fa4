// Cycles per packet of each stage and of the whole pipeline, ports left out. All of it is
// cache-warm: one vector, two pods, a handful of routes. Run it pinned to a core:
//   taskset -c 1 build/bench/stages/stage_cost
// The numbers are TSC cycles. Those of one stage include its share of the loop around it.
#include <benchmark/benchmark.h>

#include "bench/stages/pipeline_run.h"
#include "bench/stages/vector_traffic.h"

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

void pipeline(benchmark::State& state, const Bytes& frame) {
  Lab lab;
  const auto count = static_cast<uint16_t>(state.range(0));
  VectorTraffic traffic(lab, frame, count);
  uint64_t cycles = 0;
  uint64_t packets = 0;
  for (auto _ : state) {
    traffic.receive();
    cycles += bench::run_vector(lab);
    packets += count;
  }
  bench::report_stages(state, lab.counters(), cycles, packets);
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
