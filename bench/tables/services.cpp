// Speed and memory of the service table. CPU time and `cycles` (TSC) are for one operation.
//
//   ninja -C build bench/tables/services
//   taskset -c 1 build/bench/tables/services
//
// load/S/E: S services of E endpoints each into an empty table; `seconds` for all of it,
// `MiB` of the process beyond what it had. change/E: one endpoint of a service with E leaves
// or comes back, in a table of 10000 services. pick/S: frontend, group and backend of random
// new flows. disruption/E: `moved_percent`, picks of other backends that change when one of
// E is removed (mean over all E; `worst_percent`).
#include <benchmark/benchmark.h>

#include <cstdio>
#include <memory>
#include <random>

#include "bench/tables/meter.h"
#include "dataplane/tables/service_table.h"

namespace weir::dataplane {
namespace {

struct NoRoutes : FrontendAddresses {
  Status frontend_address_added(const IpAddress&) override { return {}; }
  void frontend_address_removed(const IpAddress&) override {}
};

double resident_mib() {
  long pages = 0;
  long resident = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr || std::fscanf(file, "%ld %ld", &pages, &resident) != 2) resident = 0;
  if (file != nullptr) std::fclose(file);
  return static_cast<double>(resident) * 4096 / (1 << 20);
}

void check(const Status& status) {
  if (!status) std::abort();
}

IpAddress vip(uint32_t service) { return ip4_address(0x0a600000 + service); }

struct Services {
  void set_group(uint32_t service, uint32_t endpoints, uint32_t without = UINT32_MAX) {
    uint32_t first = api::kListFirst;
    const uint32_t last = without == endpoints - 1 ? endpoints - 2 : endpoints - 1;
    for (uint32_t i = 0; i < endpoints; ++i) {
      if (i == without) continue;
      check(table.set_backend({.group = service + 1,
                               .address = ip4_address(0x0b000000 + service * 128 + i),
                               .port = 8080,
                               .flags = first | (i == last ? api::kListLast : 0)}));
      first = 0;
    }
  }
  void load(uint32_t services, uint32_t endpoints) {
    for (uint32_t service = 0; service < services; ++service) {
      set_group(service, endpoints);
      check(table.set_frontend({.key = {.address = vip(service), .port = 80, .protocol = kProtoTcp},
                                .kind = api::FrontendKind::cluster_ip,
                                .group_inside = service + 1,
                                .group_outside = service + 1}));
    }
  }

  Rcu rcu{1};
  BackendPool pool{rcu};
  NoRoutes routes;
  ServiceTable table{rcu, pool, routes};
};

void load(benchmark::State& state) {
  for ([[maybe_unused]] auto _ : state) {
    const double before = resident_mib();
    const Meter meter;
    Services services;
    services.load(static_cast<uint32_t>(state.range(0)), static_cast<uint32_t>(state.range(1)));
    state.counters["seconds"] = meter.nanoseconds() / 1e9;
    state.counters["MiB"] = resident_mib() - before;
  }
}

void change(benchmark::State& state) {
  const auto endpoints = static_cast<uint32_t>(state.range(0));
  Services services;
  services.load(10000, 10);
  services.set_group(0, endpoints);
  bool there = true;
  const Meter meter;
  for ([[maybe_unused]] auto _ : state) {
    there = !there;
    services.set_group(0, endpoints, there ? UINT32_MAX : endpoints / 2);
    services.rcu.reclaim();
  }
  state.counters["cycles"] = meter.cycles() / static_cast<double>(state.iterations());
}

void pick(benchmark::State& state) {
  const auto count = static_cast<uint32_t>(state.range(0));
  Services services;
  services.load(count, 10);
  std::mt19937_64 random(5);
  std::vector<FlowKey> keys(1U << 18);
  for (FlowKey& key : keys) {
    key = {.source = ip4_address(static_cast<uint32_t>(random())).bytes,
           .destination = vip(static_cast<uint32_t>(random() % count)).bytes,
           .source_port = static_cast<uint16_t>(random()),
           .destination_port = __builtin_bswap16(80),
           .protocol = kProtoTcp,
           .family = Family::ip4};
  }
  size_t at = 0;
  const Meter meter;
  for ([[maybe_unused]] auto _ : state) {
    const FlowKey& key = keys[at++ % keys.size()];
    BackendId id = services.table.find(key)->group(true).pick(key.hash());
    benchmark::DoNotOptimize(id);
  }
  state.counters["cycles"] = meter.cycles() / static_cast<double>(state.iterations());
}

void disruption(benchmark::State& state) {
  std::vector<Maglev::Member> all;
  for (uint32_t i = 1; i <= static_cast<uint32_t>(state.range(0)); ++i) {
    const FlowKey key{
        .source = ip4_address(0x0a000000 + i).bytes, .source_port = 80, .family = Family::ip4};
    all.push_back({.id = i, .identity = key.hash()});
  }
  double sum = 0;
  double worst = 0;
  for ([[maybe_unused]] auto _ : state) {
    const Maglev before(all);
    for (size_t gone = 0; gone < all.size(); ++gone) {
      auto rest = all;
      rest.erase(rest.begin() + static_cast<ptrdiff_t>(gone));
      const Maglev after(rest);
      double others = 0;
      double moved = 0;
      for (size_t i = 0; i < before.entries().size(); ++i) {
        if (before.entries()[i] == all[gone].id) continue;
        ++others;
        if (before.entries()[i] != after.entries()[i]) ++moved;
      }
      sum += moved / others;
      worst = std::max(worst, moved / others);
    }
  }
  state.counters["moved_percent"] = sum * 100 / static_cast<double>(all.size());
  state.counters["worst_percent"] = worst * 100;
}

BENCHMARK(load)->Args({1000, 10})->Args({10000, 10})->Args({1000, 100})->Iterations(1);
BENCHMARK(change)->Arg(10)->Arg(100)->Arg(1000)->Iterations(1000);
BENCHMARK(pick)->Arg(1)->Arg(1000)->Arg(10000);
BENCHMARK(disruption)->Arg(100)->Arg(150)->Arg(500)->Iterations(1);

}  // namespace
}  // namespace weir::dataplane

BENCHMARK_MAIN();
