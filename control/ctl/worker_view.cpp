#include "control/ctl/worker_view.h"

#include <algorithm>

#include "control/ctl/table.h"

namespace weir::ctl {
namespace {

using Align = Table::Align;

const char* mode_text(api::WorkerMode mode) {
  switch (mode) {
    case api::WorkerMode::polling: return "polling";
    case api::WorkerMode::sleeping: return "sleeping";
  }
  return "unknown";
}

// A damaged reply may claim more stages than a record holds.
std::span<const api::StageState> stages(const api::WorkerState& worker) {
  return std::span(worker.stages).first(std::min<size_t>(worker.stage_count, worker.stages.size()));
}

std::string stages_text(const api::WorkerState& worker) {
  Table table({{"STAGE"},
               {"PACKETS", Align::right},
               {"VECTORS", Align::right},
               {"PACKETS/VECTOR", Align::right},
               {"CYCLES/PACKET", Align::right}});
  for (const api::StageState& stage : stages(worker)) {
    if (stage.vectors == 0) continue;
    table.row({field_text(stage.name), std::to_string(stage.packets), std::to_string(stage.vectors),
               fixed(ratio(stage.packets, stage.vectors), 1),
               fixed(ratio(stage.cycles, stage.packets), 1)});
  }
  if (table.empty()) return "";
  return "\nworker " + std::to_string(worker.index) + " by stage\n" + table.text();
}

Json stage_json(const api::StageState& stage) {
  return {{"name", field_text(stage.name)},
          {"packets", json_u64(stage.packets)},
          {"vectors", json_u64(stage.vectors)},
          {"packets_per_vector", json_real(ratio(stage.packets, stage.vectors))},
          {"cycles", json_u64(stage.cycles)},
          {"cycles_per_packet", json_real(ratio(stage.cycles, stage.packets))}};
}

}  // namespace

std::string workers_text(std::span<const api::WorkerState> workers) {
  Table table({{"WORKER", Align::right},
               {"CORE", Align::right},
               {"NUMA", Align::right},
               {"MODE"},
               {"PORTS", Align::right},
               {"PACKETS", Align::right},
               {"VECTORS", Align::right},
               {"PACKETS/VECTOR", Align::right},
               {"CYCLES/PACKET", Align::right},
               {"SLEEPS", Align::right},
               {"HANDOFFS", Align::right}});
  std::string details;
  for (const api::WorkerState& worker : workers) {
    table.row({std::to_string(worker.index), std::to_string(worker.core),
               worker.numa_node < 0 ? "" : std::to_string(worker.numa_node), mode_text(worker.mode),
               std::to_string(worker.ports), std::to_string(worker.packets),
               std::to_string(worker.vectors), fixed(ratio(worker.packets, worker.vectors), 1),
               fixed(ratio(worker.busy_cycles, worker.packets), 1), std::to_string(worker.sleeps),
               std::to_string(worker.handoffs)});
    details += stages_text(worker);
  }
  return table.text() + details;
}

Json workers_json(std::span<const api::WorkerState> workers) {
  Json all = Json::array();
  for (const api::WorkerState& worker : workers) {
    Json json{{"index", worker.index},
              {"core", worker.core},
              {"numa_node", worker.numa_node},
              {"mode", mode_text(worker.mode)},
              {"ports", worker.ports},
              {"sweeps", json_u64(worker.sweeps)},
              {"vectors", json_u64(worker.vectors)},
              {"packets", json_u64(worker.packets)},
              {"packets_per_vector", json_real(ratio(worker.packets, worker.vectors))},
              {"busy_cycles", json_u64(worker.busy_cycles)},
              {"cycles_per_packet", json_real(ratio(worker.busy_cycles, worker.packets))},
              {"sleeps", json_u64(worker.sleeps)},
              {"handoffs", json_u64(worker.handoffs)},
              {"stages", Json::array()}};
    for (const api::StageState& stage : stages(worker)) json["stages"].push_back(stage_json(stage));
    all.push_back(std::move(json));
  }
  return all;
}

}  // namespace weir::ctl
