// The file in which a workload finds its port (capability CNIDeviceInfoFile).
// Source: k8snetworkplumbingwg device-info specification 1.1.0; role and mode are the
// workload's side.
#pragma once

#include <optional>
#include <string>

#include "cni/error.h"
#include "dataplane/api/error.h"
#include "dataplane/api/protocol.h"

namespace weir::control {

// Code 7 unless `path` is empty or an absolute path without "..".
std::optional<cni::Error> check_device_info(const std::string& path);

// Replaces the file in one step; makes its directory. Blocks.
Status write_device_info(const std::string& path, const api::PortConfig& port);
// Not there is success. A path that check_device_info() refuses is left alone.
Status remove_device_info(const std::string& path);

}  // namespace weir::control
