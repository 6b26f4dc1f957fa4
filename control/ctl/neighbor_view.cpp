#include "control/ctl/neighbor_view.h"

#include "control/ctl/table.h"

namespace weir::ctl {
namespace {

const char* phase_name(api::NeighborPhase phase) {
  switch (phase) {
    case api::NeighborPhase::incomplete: return "incomplete";
    case api::NeighborPhase::reachable: return "reachable";
    case api::NeighborPhase::probing: return "probing";
    case api::NeighborPhase::failed: return "failed";
  }
  return "unknown";
}

std::string mac_text(const api::NeighborState& neighbor) {
  return neighbor.mac.is_zero() ? "" : weir::to_string(neighbor.mac);
}

std::string age_text(const api::NeighborState& neighbor) {
  return neighbor.age_ns == 0 ? "" : std::to_string(neighbor.age_ns / 1'000'000'000) + " s";
}

}  // namespace

std::string neighbors_text(std::span<const api::NeighborState> neighbors, const PortNames& names) {
  Table table({{"ADDRESS"}, {"MAC"}, {"STATE"}, {"UPLINK"}, {"GATEWAY"}, {"HELD", Table::Align::right}, {"CONFIRMED"}});
  for (const api::NeighborState& neighbor : neighbors) {
    table.row({weir::to_string(neighbor.address), mac_text(neighbor), phase_name(neighbor.phase),
               port_label(neighbor.port_key, names), neighbor.gateway != 0 ? "yes" : "no",
               std::to_string(neighbor.held), age_text(neighbor)});
  }
  return table.text();
}

Json neighbors_json(std::span<const api::NeighborState> neighbors, const PortNames& names) {
  Json all = Json::array();
  for (const api::NeighborState& neighbor : neighbors) {
    all.push_back({{"address", weir::to_string(neighbor.address)},
                   {"mac", mac_text(neighbor)},
                   {"state", phase_name(neighbor.phase)},
                   {"uplink", port_reference_json(neighbor.port_key, names)},
                   {"gateway", neighbor.gateway != 0},
                   {"held", neighbor.held},
                   {"age_ns", json_u64(neighbor.age_ns)}});
  }
  return all;
}

}  // namespace weir::ctl
