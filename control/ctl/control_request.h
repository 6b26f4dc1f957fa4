// One request to weir-control over cni.sock.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "control/ctl/text.h"
#include "dataplane/api/error.h"

namespace weir::ctl {

// The response's "result". Connects, asks and closes; `timeout` bounds all of it.
// Errors: unavailable (nobody listens, or it hung up), timeout, permission,
// invalid_argument, version or limit (what came back is not a response), or what the
// daemon answered. Each says what to do.
Result<Json> request_control(const std::string& path, std::string_view method, const Json& params,
                             std::chrono::milliseconds timeout);

}  // namespace weir::ctl
