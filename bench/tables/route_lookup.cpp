// Speed and memory of the forwarding tables.
//
//   ninja -C build bench/tables/route_lookup
//   taskset -c 1 build/bench/tables/route_lookup
//   taskset -c 1 build/bench/tables/route_lookup --benchmark_filter='lookup.*1000000'
//
// lookup_*: random destinations, each inside a random prefix of the table, from a list of
// 2^20 that does not fit near caches. `single` asks one by one, `chain` makes each
// question depend on the answer before it, `batch` asks 64 at a time. CPU time and
// `cycles` (TSC) are for one lookup.
// Prefixes: ip4 as in a full Internet table (60 % /24, 2 % host routes); ip6 mixed
// lengths (/29 to /64) or random /48 alone, all under 2000::/3.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "bench/tables/meter.h"
#include "dataplane/tables/route_table.h"

namespace weir::dataplane {
namespace {

constexpr uint32_t kNextHops = 64;
constexpr size_t kDestinations = 1U << 20;
constexpr size_t kBatch = 64;

template <class Table>
struct Prefix {
  typename Table::Key key;
  uint8_t length;
  uint32_t next_hop;
};

struct Share {
  unsigned percent;
  uint8_t length;
};
using Mix = std::vector<Share>;
const Mix kMix4{{60, 24}, {10, 23}, {11, 22}, {5, 21}, {5, 20}, {3, 19}, {2, 18}, {2, 16}, {2, 32}};
const Mix kMix6{{48, 48}, {13, 32}, {10, 44}, {9, 40}, {6, 36}, {4, 29}, {10, 64}};
const Mix kRandom48{{100, 48}};

template <class Table>
std::vector<Prefix<Table>> make_prefixes(size_t count, const Mix& mix) {
  std::mt19937_64 random(count);
  std::map<std::pair<uint8_t, typename Table::Key>, bool> seen;
  std::vector<Prefix<Table>> prefixes;
  while (prefixes.size() < count) {
    unsigned pick = static_cast<unsigned>(random() % 100);
    auto share = mix.begin();
    for (; pick >= share->percent; ++share) pick -= share->percent;
    typename Table::Key key{};
    for (size_t i = 0; i < share->length / 8U + (share->length % 8 != 0 ? 1U : 0U); ++i) {
      key[i] = static_cast<uint8_t>(random());
    }
    if (share->length % 8 != 0)
      key[share->length / 8U] &= static_cast<uint8_t>(0xff00U >> share->length % 8);
    key[0] = key.size() == 4 ? static_cast<uint8_t>(1 + key[0] % 223)
                             : static_cast<uint8_t>(0x20 | key[0] % 32);
    if (!seen.emplace(std::pair(share->length, key), true).second) continue;
    prefixes.push_back({key, share->length, 1 + static_cast<uint32_t>(random() % kNextHops)});
  }
  return prefixes;
}

template <class Table>
std::vector<typename Table::Key> make_destinations(const std::vector<Prefix<Table>>& prefixes) {
  std::mt19937_64 random(7);
  std::vector<typename Table::Key> destinations(kDestinations);
  for (auto& key : destinations) {
    const Prefix<Table>& prefix = prefixes[random() % prefixes.size()];
    for (size_t i = 0; i < key.size(); ++i) {
      const int kept = std::clamp(prefix.length - static_cast<int>(i) * 8, 0, 8);
      key[i] =
          prefix.key[i] | (static_cast<uint8_t>(random()) & static_cast<uint8_t>(0xff >> kept));
    }
  }
  return destinations;
}

// One loaded table; the last one asked for is kept, as loading takes a second.
template <class Table>
struct Loaded {
  Loaded(size_t count, const Mix& mix)
      : prefixes(make_prefixes<Table>(count, mix)),
        destinations(make_destinations<Table>(prefixes)) {
    for (const auto& prefix : prefixes) {
      if (!fib.set(prefix.key, prefix.length, prefix.next_hop)) std::abort();
    }
    rcu.reclaim();
  }
  static const Loaded& get(size_t count, const Mix& mix) {
    static std::unique_ptr<Loaded> kept;
    static std::pair<size_t, const Mix*> kept_as;
    if (kept_as != std::pair(count, &mix)) {
      kept.reset();
      kept = std::make_unique<Loaded>(count, mix);
      kept_as = {count, &mix};
    }
    return *kept;
  }

  Rcu rcu{1};
  Table fib{rcu};
  std::vector<Prefix<Table>> prefixes;
  std::vector<typename Table::Key> destinations;
};

template <class Table>
void report(benchmark::State& state, const Table& fib, const Meter& meter) {
  state.counters["cycles"] = meter.cycles() / static_cast<double>(state.iterations());
  state.counters["MiB"] = static_cast<double>(fib.memory_bytes()) / (1 << 20);
  state.counters["nodes"] = fib.nodes_in_use();
}

enum class Ask { single, chain, batch };

template <class Table, Ask kAsk>
void lookup(benchmark::State& state, const Mix& mix) {
  const auto& loaded = Loaded<Table>::get(static_cast<size_t>(state.range(0)), mix);
  const auto& destinations = loaded.destinations;
  std::array<uint32_t, kBatch> out{};
  size_t at = 0;
  const Meter meter;
  while (state.KeepRunningBatch(kBatch)) {
    if constexpr (kAsk == Ask::batch) {
      loaded.fib.lookup(&destinations[at], out.data(), kBatch);
    } else {
      uint32_t answer = 0;
      for (size_t i = 0; i < kBatch; ++i) {
        // A next hop is below 2^31, so the shift gives 0; the processor cannot know.
        const size_t next = at + i + (kAsk == Ask::chain ? answer >> 31 : 0);
        out[i] = answer = loaded.fib.lookup(destinations[next]);
      }
    }
    benchmark::DoNotOptimize(out);
    at = (at + kBatch) % kDestinations;
  }
  report(state, loaded.fib, meter);
}

// A whole table into an empty one, and out again: nanoseconds for one prefix.
template <class Table>
void load(benchmark::State& state, const Mix& mix) {
  const auto prefixes = make_prefixes<Table>(static_cast<size_t>(state.range(0)), mix);
  const auto each = [&](const Meter& meter) {
    return meter.nanoseconds() / static_cast<double>(prefixes.size());
  };
  for ([[maybe_unused]] auto _ : state) {
    Rcu rcu(1);
    Table fib(rcu);
    const Meter setting;
    for (const auto& prefix : prefixes) {
      if (!fib.set(prefix.key, prefix.length, prefix.next_hop)) std::abort();
    }
    rcu.reclaim();
    state.counters["set_ns"] = each(setting);
    state.counters["MiB"] = static_cast<double>(fib.memory_bytes()) / (1 << 20);
    state.counters["nodes"] = fib.nodes_in_use();
    const Meter erasing;
    for (const auto& prefix : prefixes) fib.erase(prefix.key, prefix.length);
    rcu.reclaim();
    state.counters["erase_ns"] = each(erasing);
    state.counters["nodes_left"] = fib.nodes_in_use();
  }
}

// The default route of a full table to another next hop.
void repoint_default(benchmark::State& state) {
  Rcu rcu(1);
  Fib4 fib(rcu);
  for (const auto& prefix : make_prefixes<Fib4>(static_cast<size_t>(state.range(0)), kMix4)) {
    if (!fib.set(prefix.key, prefix.length, prefix.next_hop)) std::abort();
  }
  uint32_t next_hop = 0;
  const Meter meter;
  for ([[maybe_unused]] auto _ : state) {
    if (!fib.set({}, 0, 1 + ++next_hop % kNextHops)) std::abort();
  }
  report(state, fib, meter);
}

// All routes via one port move when the port does.
void repoint_port(benchmark::State& state) {
  Rcu rcu(1);
  Adjacencies adjacencies(rcu);
  Fib4 fib4(rcu);
  Fib6 fib6(rcu);
  RouteTable routes(fib4, fib6, adjacencies);
  api::PortConfig port{.key = 1};
  if (!routes.port_set(1, port)) std::abort();
  const auto prefixes = make_prefixes<Fib4>(static_cast<size_t>(state.range(0)), kMix4);
  const Meter setting;
  for (const auto& prefix : prefixes) {
    api::Route route{.kind = api::RouteKind::port, .port_key = 1};
    route.prefix.address.family = Family::ip4;
    std::ranges::copy(prefix.key, route.prefix.address.bytes.begin());
    route.prefix.length = prefix.length;
    if (!routes.set(route)) std::abort();
  }
  state.counters["route_set_ns"] = setting.nanoseconds() / static_cast<double>(prefixes.size());
  uint16_t index = 0;
  const Meter meter;
  for ([[maybe_unused]] auto _ : state) {
    if (!routes.port_set(static_cast<uint16_t>(++index % 1000), port)) std::abort();
  }
  report(state, fib4, meter);
}

template <class Table>
void register_lookups(const std::string& name, const Mix& mix) {
  for (const int64_t count : {1, 1000, 500000, 1000000}) {
    const auto add = [&](const char* ask, void (*run)(benchmark::State&, const Mix&)) {
      benchmark::RegisterBenchmark(("lookup_" + name + "_" + ask).c_str(),
                                   [run, &mix](benchmark::State& state) { run(state, mix); })
          ->Arg(count)
          ->MinTime(0.2);
    };
    add("single", lookup<Table, Ask::single>);
    add("chain", lookup<Table, Ask::chain>);
    add("batch", lookup<Table, Ask::batch>);
  }
}

void register_load(const std::string& name, void (*run)(benchmark::State&, const Mix&),
                   const Mix& mix) {
  benchmark::RegisterBenchmark(("load_" + name).c_str(),
                               [run, &mix](benchmark::State& state) { run(state, mix); })
      ->Arg(1000000)
      ->Iterations(1);
}

void register_all() {
  register_lookups<Fib4>("ip4", kMix4);
  register_lookups<Fib6>("ip6", kMix6);
  register_lookups<Fib6>("ip6_48", kRandom48);
  register_load("ip4", load<Fib4>, kMix4);
  register_load("ip6", load<Fib6>, kMix6);
  register_load("ip6_48", load<Fib6>, kRandom48);
  for (const int64_t count : {1, 1000000}) {
    benchmark::RegisterBenchmark("repoint_default", repoint_default)
        ->Arg(count)
        ->Iterations(10000000);
    benchmark::RegisterBenchmark("repoint_port", repoint_port)->Arg(count)->Iterations(1000000);
  }
}

[[maybe_unused]] const bool registered = (register_all(), true);

}  // namespace
}  // namespace weir::dataplane

BENCHMARK_MAIN();
