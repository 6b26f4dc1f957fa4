// How drop counters look. Fixed records in, text or JSON out.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "control/ctl/text.h"
#include "dataplane/api/protocol.h"

namespace weir::ctl {

std::vector<api::DropCounter> nonzero(std::span<const api::DropCounter> drops);

std::string drops_text(std::span<const api::DropCounter> drops);
Json drops_json(std::span<const api::DropCounter> drops);

}  // namespace weir::ctl
