// Blocking I/O with deadlines, for programs without an event loop.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "dataplane/api/error.h"

namespace weir::cni {

using Clock = std::chrono::steady_clock;
using Deadline = Clock::time_point;

// Milliseconds until the deadline for poll(2), rounded up; 0 when it has passed.
int remaining_ms(Deadline deadline) noexcept;

// Waits until `fd` is ready for `events` (poll's). Errors: timeout, io.
Status wait_ready(int fd, short events, Deadline deadline);

// All of `fd` up to its end. Errors: timeout, io, limit when there are more than
// `max_bytes`; what follows is left unread.
weir::Result<std::string> read_all(int fd, size_t max_bytes, Deadline deadline);

}  // namespace weir::cni
