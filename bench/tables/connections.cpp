// Speed and memory of the connection table. CPU time and `cycles` (TSC) are for one
// operation; `Mper_s` counts them by CPU time.
//
//   ninja -C build bench/tables/connections
//   taskset -c 1 build/bench/tables/connections
//
// hit/N, reply/N: lookups of both directions in a table of N connections, in random order,
// 64 at a time with the prefetches of the connection stage, and the touch that follows.
// single/N: without prefetches, one by one. miss/N: flows that are not there.
// new_flows: UDP flows that nobody answers, 64 at a time (lookup, miss, add), with the main
// thread's work between them as it is in service: reap every 10 ms of the flows' own time
// at a million a second. So the table ends as many as it begins.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

#include "bench/tables/meter.h"
#include "dataplane/tables/connection_table.h"

namespace weir::dataplane {
namespace {

constexpr size_t kBatch = 64;
constexpr uint32_t kVip = 0x0a600001;

FlowKey flow_key(uint64_t number) {
  FlowKey key{.source = ip4_address(static_cast<uint32_t>(0x0a000000 + number / 50000)).bytes,
              .destination = ip4_address(kVip).bytes,
              .source_port = __builtin_bswap16(static_cast<uint16_t>(1024 + number % 50000)),
              .destination_port = __builtin_bswap16(53),
              .protocol = kProtoUdp,
              .family = Family::ip4};
  return key;
}

struct Table {
  explicit Table(uint32_t capacity) : table(rcu, pool, {.capacity = capacity}) {
    for (uint32_t i = 0; i < 10; ++i) {
      const BackendAddress address{.address = ip4_address(0x0a010000 + i).bytes,
                                   .port = __builtin_bswap16(8080),
                                   .family = Family::ip4};
      backends.push_back(*pool.add(1, address));
    }
    table.prepare();
  }
  bool add(uint64_t number, Ticks now) {
    const BackendId id = backends[number % backends.size()];
    const NewConnection wanted{.key = flow_key(number),
                               .backend = pool.address(id).address,
                               .backend_port = pool.address(id).port,
                               .backend_id = id};
    return table.add(0, wanted, now).outcome == ConnectionTable::Outcome::added;
  }

  Rcu rcu{1};
  BackendPool pool{rcu};
  ConnectionTable table;
  std::vector<BackendId> backends;
};

// A table of `count` connections, kept for the next benchmark that asks for it.
struct Filled : Table {
  explicit Filled(uint64_t count)
      : Table(static_cast<uint32_t>(std::max<uint64_t>(count * 2, 65536))) {
    for (uint64_t i = 0; i < count; ++i) {
      if (i % 10000 == 0) table.reap(0, 1);  // its main thread brings free records
      if (!add(i, 0)) std::abort();
    }
    std::mt19937_64 random(3);
    for (size_t i = 0; i < (1U << 20); ++i) {
      const uint64_t number = random() % count;
      forward.push_back(flow_key(number));
      reverse.push_back(
          table.find(flow_key(number), table.hash(flow_key(number))).connection->reverse_key());
      absent.push_back(flow_key(count + number));
    }
  }
  static Filled& get(uint64_t count) {
    static std::unique_ptr<Filled> kept;
    static uint64_t kept_count = 0;
    if (kept_count != count) {
      kept.reset();
      kept = std::make_unique<Filled>(count);
      kept_count = count;
    }
    return *kept;
  }
  std::vector<FlowKey> forward;
  std::vector<FlowKey> reverse;
  std::vector<FlowKey> absent;
};

void report(benchmark::State& state, const Meter& meter) {
  const auto operations = static_cast<double>(state.iterations());
  state.counters["cycles"] = meter.cycles() / operations;
  state.counters["Mper_s"] = operations * 1000 / meter.nanoseconds();
}

void look_up(benchmark::State& state, std::vector<FlowKey> Filled::*keys, bool batched) {
  Filled& filled = Filled::get(static_cast<uint64_t>(state.range(0)));
  ConnectionTable& table = filled.table;
  std::array<uint64_t, kBatch> hashes{};
  std::array<uint32_t, kBatch> expected{};
  size_t at = 0;
  uint64_t found = 0;
  const Meter meter;
  while (state.KeepRunningBatch(kBatch)) {
    const FlowKey* burst = &(filled.*keys)[at];
    for (size_t i = 0; i < kBatch; ++i) {
      hashes[i] = table.hash(burst[i]);
      if (batched) table.prefetch(hashes[i]);
    }
    for (size_t i = 0; batched && i < kBatch; ++i) expected[i] = table.prefetch_record(hashes[i]);
    for (size_t i = 0; i < kBatch; ++i) {
      const auto match =
          batched ? table.find_expected(burst[i], expected[i]) : table.find(burst[i], hashes[i]);
      if (!match) continue;
      ++found;
      table.touch(*match.connection, match.direction, 0, 0);
    }
    at = (at + kBatch) % (1U << 20);
  }
  report(state, meter);
  state.counters["found"] = static_cast<double>(found) / static_cast<double>(state.iterations());
  state.counters["MiB"] = static_cast<double>(table.memory_bytes()) / (1 << 20);
}

void new_flows(benchmark::State& state) {
  Table bench(static_cast<uint32_t>(state.range(0)));
  ConnectionTable& table = bench.table;
  constexpr uint64_t kFlowsPerReap = 10000;  // 10 ms at a million a second
  std::array<uint64_t, kBatch> hashes{};
  uint64_t number = 0;
  uint64_t refused = 0;
  uint64_t next_reap = 0;
  double reaping = 0;
  const auto turn = [&] {
    if (number >= next_reap) {
      const Meter meter;
      next_reap += kFlowsPerReap;
      table.reap(static_cast<Ticks>(number / (1000000 / kTicksPerSecond)));
      bench.rcu.reclaim();
      reaping += meter.nanoseconds();
    }
    const auto now = static_cast<Ticks>(number / (1000000 / kTicksPerSecond));
    for (size_t i = 0; i < kBatch; ++i) {
      hashes[i] = table.hash(flow_key(number + i));
      table.prefetch(hashes[i]);
    }
    for (size_t i = 0; i < kBatch; ++i) {
      const bool is_new = !table.find(flow_key(number + i), hashes[i]);
      if (!is_new || !bench.add(number + i, now)) ++refused;
    }
    number += kBatch;
  };
  while (number < 5000000) turn();  // until as many end as begin
  refused = 0;
  reaping = 0;
  const uint64_t before = number;
  const Meter meter;
  while (state.KeepRunningBatch(kBatch)) turn();
  report(state, meter);
  state.counters["reap_share"] = reaping / meter.nanoseconds();
  state.counters["refused"] = static_cast<double>(refused) / static_cast<double>(number - before);
  state.counters["in_use"] = table.stats().in_use;
  state.counters["MiB"] = static_cast<double>(table.memory_bytes()) / (1 << 20);
}

// A visit to every record of a table in which nothing ended, for one record.
void sweep(benchmark::State& state) {
  Filled& filled = Filled::get(static_cast<uint64_t>(state.range(0)));
  const auto all = static_cast<uint32_t>(state.range(0));
  const Meter meter;
  while (state.KeepRunningBatch(all)) filled.table.reap(0, all);
  report(state, meter);
}

void register_all() {
  struct Lookup {
    const char* name;
    std::vector<FlowKey> Filled::*keys;
    bool batched;
  };
  for (const int64_t count : {100, 1000, 100000, 1000000}) {
    for (const Lookup& look :
         {Lookup{"hit", &Filled::forward, true}, Lookup{"reply", &Filled::reverse, true},
          Lookup{"miss", &Filled::absent, true}, Lookup{"single", &Filled::forward, false}}) {
      benchmark::RegisterBenchmark(
          look.name, [look](benchmark::State& state) { look_up(state, look.keys, look.batched); })
          ->Arg(count)
          ->MinTime(0.3);
    }
    benchmark::RegisterBenchmark("sweep", sweep)->Arg(count)->MinTime(0.3);
  }
  for (const int64_t capacity : {1 << 20, 1 << 21, 1 << 22})
    benchmark::RegisterBenchmark("new_flows", new_flows)->Arg(capacity)->Iterations(5000000);
}

[[maybe_unused]] const bool registered = (register_all(), true);

}  // namespace
}  // namespace weir::dataplane

BENCHMARK_MAIN();
