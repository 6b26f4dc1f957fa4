// Neighbours of uplinks as text and JSON.
#pragma once

#include "control/ctl/port_view.h"

namespace weir::ctl {

std::string neighbors_text(std::span<const api::NeighborState> neighbors, const PortNames& names);
Json neighbors_json(std::span<const api::NeighborState> neighbors, const PortNames& names);

}  // namespace weir::ctl
