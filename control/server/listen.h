// The daemon's listening socket.
#pragma once

#include <string>

#include "dataplane/api/codec.h"
#include "dataplane/api/error.h"

namespace weir::control {

// Listens on a SOCK_STREAM socket at `path` (mode 0600, non-blocking). A socket file
// that nobody serves is replaced. Error `busy` when a process serves it, with its pid;
// `exists` when something else than a socket is in the way.
Result<api::Fd> listen_at(const std::string& path);

}  // namespace weir::control
