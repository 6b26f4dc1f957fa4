// How a dry run looks. Fixed records in, text or JSON out.
#pragma once

#include <string>

#include "control/ctl/port_view.h"
#include "dataplane/api/path.h"

namespace weir::ctl {

std::string path_text(const api::PathTrace& path, const PortNames& names);
Json path_json(const api::PathTrace& path, const PortNames& names);

}  // namespace weir::ctl
