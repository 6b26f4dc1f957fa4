#include "control/ctl/stats_view.h"

#include <algorithm>

#include "control/ctl/drop_view.h"
#include "control/ctl/port_view.h"
#include "control/ctl/table.h"

namespace weir::ctl {
namespace {

using Align = Table::Align;

double interval_seconds(const StatsSnapshot& before, const StatsSnapshot& after) {
  return static_cast<double>(after.nanoseconds - before.nanoseconds) / 1e9;
}

uint64_t grown(uint64_t before, uint64_t after) { return after > before ? after - before : 0; }

double rate(uint64_t before, uint64_t after, double seconds) {
  return seconds > 0 ? static_cast<double>(grown(before, after)) / seconds : 0.0;
}

struct PortRates {
  double rx_packets = 0;  // all per second
  double rx_bits = 0;
  double tx_packets = 0;
  double tx_bits = 0;
  double drops = 0;
};

PortRates port_rates(const api::PortCounters& a, const api::PortCounters& b, double seconds) {
  return {rate(a.rx_packets, b.rx_packets, seconds), 8 * rate(a.rx_bytes, b.rx_bytes, seconds),
          rate(a.tx_packets, b.tx_packets, seconds), 8 * rate(a.tx_bytes, b.tx_bytes, seconds),
          rate(a.drops, b.drops, seconds)};
}

// A port that is new since the first snapshot has counted from zero.
api::PortCounters counters_before(const StatsSnapshot& before, uint64_t key) {
  const auto found =
      std::ranges::find(before.ports, key, [](const auto& port) { return port.config.key; });
  return found == before.ports.end() ? api::PortCounters{} : found->counters;
}

api::WorkerState worker_before(const StatsSnapshot& before, uint32_t index) {
  const auto found = std::ranges::find(before.workers, index, &api::WorkerState::index);
  return found == before.workers.end() ? api::WorkerState{} : *found;
}

uint64_t drops_before(const StatsSnapshot& before, const api::DropCounter& drop) {
  const auto found = std::ranges::find(before.drops, drop.name, &api::DropCounter::name);
  return found == before.drops.end() ? 0 : found->packets;
}

std::string ports_page(const StatsSnapshot& before, const StatsSnapshot& after, double seconds) {
  Table table({{"PORT"},
               {"RX", Align::right},
               {"RX RATE", Align::right},
               {"TX", Align::right},
               {"TX RATE", Align::right},
               {"DROPS/S", Align::right},
               {"RX PACKETS", Align::right},
               {"TX PACKETS", Align::right},
               {"DROPS", Align::right}});
  const PortNames names = port_names(after.ports);
  for (const api::PortState& port : after.ports) {
    const api::PortCounters& total = port.counters;
    const PortRates rates = port_rates(counters_before(before, port.config.key), total, seconds);
    table.row({port_label(port.config.key, names), with_prefix(rates.rx_packets, "p/s"),
               with_prefix(rates.rx_bits, "bit/s"), with_prefix(rates.tx_packets, "p/s"),
               with_prefix(rates.tx_bits, "bit/s"), with_prefix(rates.drops, "p/s"),
               std::to_string(total.rx_packets), std::to_string(total.tx_packets),
               std::to_string(total.drops)});
  }
  return table.empty() ? "no ports\n" : table.text();
}

std::string workers_page(const StatsSnapshot& before, const StatsSnapshot& after, double seconds) {
  Table table({{"WORKER", Align::right},
               {"CORE", Align::right},
               {"RATE", Align::right},
               {"PACKETS/VECTOR", Align::right},
               {"CYCLES/PACKET", Align::right},
               {"PACKETS", Align::right}});
  for (const api::WorkerState& now : after.workers) {
    const api::WorkerState old = worker_before(before, now.index);
    const uint64_t packets = grown(old.packets, now.packets);
    table.row({std::to_string(now.index), std::to_string(now.core),
               with_prefix(rate(old.packets, now.packets, seconds), "p/s"),
               fixed(ratio(packets, grown(old.vectors, now.vectors)), 1),
               fixed(ratio(grown(old.busy_cycles, now.busy_cycles), packets), 1),
               std::to_string(now.packets)});
  }
  return table.empty() ? "" : "\n" + table.text();
}

std::string drops_page(const StatsSnapshot& before, const StatsSnapshot& after, double seconds) {
  Table table({{"DROP"}, {"RATE", Align::right}, {"PACKETS", Align::right}, {"REASON"}});
  for (const api::DropCounter& drop : nonzero(after.drops)) {
    table.row({field_text(drop.name),
               with_prefix(rate(drops_before(before, drop), drop.packets, seconds), "p/s"),
               std::to_string(drop.packets), field_text(drop.text)});
  }
  return table.empty() ? "\nno packet was dropped\n" : "\n" + table.text();
}

Json port_stats(const StatsSnapshot& before, const api::PortState& port, double seconds) {
  const api::PortCounters& total = port.counters;
  const PortRates rates = port_rates(counters_before(before, port.config.key), total, seconds);
  return {{"key", json_u64(port.config.key)},
          {"name", field_text(port.config.name)},
          {"rx_packets_per_second", json_real(rates.rx_packets)},
          {"rx_bits_per_second", json_real(rates.rx_bits)},
          {"tx_packets_per_second", json_real(rates.tx_packets)},
          {"tx_bits_per_second", json_real(rates.tx_bits)},
          {"drops_per_second", json_real(rates.drops)},
          {"rx_packets", json_u64(total.rx_packets)},
          {"rx_bytes", json_u64(total.rx_bytes)},
          {"tx_packets", json_u64(total.tx_packets)},
          {"tx_bytes", json_u64(total.tx_bytes)},
          {"drops", json_u64(total.drops)}};
}

Json worker_stats(const StatsSnapshot& before, const api::WorkerState& now, double seconds) {
  const api::WorkerState old = worker_before(before, now.index);
  const uint64_t packets = grown(old.packets, now.packets);
  return {{"index", now.index},
          {"core", now.core},
          {"packets_per_second", json_real(rate(old.packets, now.packets, seconds))},
          {"packets_per_vector", json_real(ratio(packets, grown(old.vectors, now.vectors)))},
          {"cycles_per_packet", json_real(ratio(grown(old.busy_cycles, now.busy_cycles), packets))},
          {"packets", json_u64(now.packets)}};
}

}  // namespace

std::string stats_text(const StatsSnapshot& before, const StatsSnapshot& after) {
  const double seconds = interval_seconds(before, after);
  return ports_page(before, after, seconds) + workers_page(before, after, seconds) +
         drops_page(before, after, seconds);
}

Json stats_json(const StatsSnapshot& before, const StatsSnapshot& after) {
  const double seconds = interval_seconds(before, after);
  Json json{{"interval_seconds", json_real(seconds)},
            {"ports", Json::array()},
            {"workers", Json::array()},
            {"drops", Json::array()}};
  for (const auto& port : after.ports) json["ports"].push_back(port_stats(before, port, seconds));
  for (const auto& worker : after.workers) {
    json["workers"].push_back(worker_stats(before, worker, seconds));
  }
  for (const api::DropCounter& drop : nonzero(after.drops)) {
    const double per_second = rate(drops_before(before, drop), drop.packets, seconds);
    json["drops"].push_back({{"name", field_text(drop.name)},
                             {"text", field_text(drop.text)},
                             {"per_second", json_real(per_second)},
                             {"packets", json_u64(drop.packets)}});
  }
  return json;
}

}  // namespace weir::ctl
