// How the memif side of a port looks: its configuration, its peer and its rings.
#pragma once

#include <string>

#include "control/ctl/table.h"
#include "control/ctl/text.h"
#include "dataplane/api/protocol.h"

namespace weir::ctl {

Json memif_json(const api::PortState& port);
void add_memif_fields(Fields& fields, const api::PortState& port);
// Of vhost-user ports too, like what follows.
Json rings_json(const api::MemifState& memif);
// A table of the rings; "" while nothing is connected.
std::string rings_text(const api::MemifState& memif);

}  // namespace weir::ctl
