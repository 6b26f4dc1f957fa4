// How the vhost-user side of a port looks: its configuration, its peer and what they agreed on.
#pragma once

#include "control/ctl/table.h"
#include "control/ctl/text.h"
#include "dataplane/api/protocol.h"

namespace weir::ctl {

Json vhost_json(const api::PortState& port);
void add_vhost_fields(Fields& fields, const api::PortState& port);

}  // namespace weir::ctl
