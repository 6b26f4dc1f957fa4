#include "control/ctl/memif_view.h"

#include <algorithm>
#include <array>
#include <span>

namespace weir::ctl {
namespace {

using Align = Table::Align;

struct RingRow {
  size_t queue;
  std::string_view direction;  // as the dataplane sees it
  const api::MemifRing& ring;
};

// A damaged reply may claim more rings than a record holds.
std::vector<RingRow> rows(const api::MemifState& memif) {
  std::vector<RingRow> all;
  const auto add = [&](std::string_view direction, const auto& rings, size_t count) {
    for (size_t i = 0; i < std::min(count, rings.size()); ++i)
      all.push_back({i, direction, rings[i]});
  };
  add("rx", memif.rx, memif.rx_rings);
  add("tx", memif.tx, memif.tx_rings);
  return all;
}

std::string_view memif_role(const api::PortConfig& config) {
  return config.memif_role == api::MemifRole::client ? "client" : "server";
}

std::string_view mode_of(const api::PortConfig& config) {
  return config.memif_mode == api::MemifMode::ip ? "ip" : "ethernet";
}

std::string peer_text(const api::PortState& port) {
  const api::MemifState& memif = port.memif;
  const std::string name = field_text(port.peer_name);
  if (name.empty()) return "";
  return name + " (interface " + field_text(memif.interface) + ", pid " +
         std::to_string(memif.peer_pid) + ", uid " + std::to_string(memif.peer_uid) + ", gid " +
         std::to_string(memif.peer_gid) + ")";
}

}  // namespace

Json rings_json(const api::MemifState& memif) {
  Json rings = Json::array();
  for (const RingRow& row : rows(memif)) {
    rings.push_back({{"queue", row.queue},
                     {"direction", row.direction},
                     {"size", row.ring.size},
                     {"fill", row.ring.fill},
                     {"interrupts", row.ring.interrupts != 0},
                     {"packets", json_u64(row.ring.packets)}});
  }
  return rings;
}

// 0 in what was configured stands for the dataplane's default, which it alone knows.
Json memif_json(const api::PortState& port) {
  const api::PortConfig& config = port.config;
  const api::MemifState& memif = port.memif;
  return {{"role", memif_role(config)},
          {"mode", mode_of(config)},
          {"log2_ring", config.memif_log2_ring},
          {"queues", config.memif_queues},
          {"buffer_bytes", config.memif_buffer},
          {"has_secret", config.secret[0] != '\0'},
          {"takes_unsealed", (config.flags & api::kPortUnsealed) != 0},
          {"peer",
           {{"name", field_text(port.peer_name)},
            {"interface", field_text(memif.interface)},
            {"pid", memif.peer_pid},
            {"uid", memif.peer_uid},
            {"gid", memif.peer_gid}}},
          {"connections", json_u64(memif.connections)},
          {"last_end", field_text(memif.last_end)},
          {"regions", memif.regions},
          {"region_bytes", json_u64(memif.region_bytes)},
          {"rings", rings_json(memif)}};
}

void add_memif_fields(Fields& fields, const api::PortState& port) {
  const api::PortConfig& config = port.config;
  const api::MemifState& memif = port.memif;
  fields.add("memif", std::string(memif_role(config)) + ", " + std::string(mode_of(config)) + " mode" +
                          (config.secret[0] != '\0' ? ", with a secret" : "") +
                          ((config.flags & api::kPortUnsealed) != 0 ? ", trusted" : ""));
  fields.add("peer", peer_text(port));
  fields.add("memory", memif.regions == 0 ? ""
                                          : std::to_string(memif.regions) + " regions, " +
                                                std::to_string(memif.region_bytes) + " bytes");
  fields.add("connections", std::to_string(memif.connections));
  fields.add("last one ended", field_text(memif.last_end));
}

std::string rings_text(const api::MemifState& memif) {
  Table table({{"QUEUE", Align::right},
               {"RING"},
               {"SIZE", Align::right},
               {"FILL", Align::right},
               {"READER"},
               {"PACKETS", Align::right}});
  for (const RingRow& row : rows(memif)) {
    table.row({std::to_string(row.queue), std::string(row.direction), std::to_string(row.ring.size),
               std::to_string(row.ring.fill), row.ring.interrupts != 0 ? "interrupts" : "polls",
               std::to_string(row.ring.packets)});
  }
  return table.empty() ? "" : "\n" + table.text();
}

}  // namespace weir::ctl
