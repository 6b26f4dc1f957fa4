// Persistent TAP devices in the calling thread's network namespace.
//
// The descriptor belongs to the namespace the device was opened in, whichever process
// uses it later; while it is open it keeps that namespace alive.
#pragma once

#include <functional>
#include <string>

#include "dataplane/api/codec.h"
#include "dataplane/api/error.h"

namespace weir::control {

// Creates the TAP `name` (IFF_NO_PI, IFF_VNET_HDR, one queue), has `prepare` set it up,
// and only then makes it persistent: whatever fails, or whoever dies, before that leaves
// nothing. Error exists when an interface has that name.
Result<api::Fd> create_tap(const std::string& name, const std::function<Status()>& prepare);

// Opens a TAP that is there. not_found when it is not, busy while another process has it.
Result<api::Fd> attach_tap(const std::string& name);

}  // namespace weir::control
