// One request to weir-control over cni.sock: a 12-byte header {"WEIR", u16 version,
// u16 kind, u32 body bytes, little-endian}, then a JSON body, either way.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "control/ctl/text.h"
#include "dataplane/api/error.h"

namespace weir::ctl {

// The response's "result". Connects, asks and closes; `timeout` bounds all of it.
// Errors: unavailable (nobody listens, or it hung up), timeout, permission,
// invalid_argument (what came back is not a response), or what the daemon answered.
Result<Json> request_control(const std::string& path, std::string_view method, const Json& params,
                             std::chrono::milliseconds timeout);

// The Error that an error object of a response stands for.
Error control_error(const Json& error);

}  // namespace weir::ctl
