// How workers look. Fixed records in, text or JSON out.
#pragma once

#include <span>
#include <string>

#include "control/ctl/text.h"
#include "dataplane/api/protocol.h"

namespace weir::ctl {

// One table of workers, then one of the stages of each worker that has seen packets.
std::string workers_text(std::span<const api::WorkerState> workers);
Json workers_json(std::span<const api::WorkerState> workers);

}  // namespace weir::ctl
