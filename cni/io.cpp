#include "cni/io.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>

namespace weir::cni {

int remaining_ms(Deadline deadline) noexcept {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, INT_MAX));
}

Status wait_ready(int fd, short events, Deadline deadline) {
  for (;;) {
    pollfd item{fd, events, 0};
    const int ready = poll(&item, 1, remaining_ms(deadline));
    if (ready > 0) return {};
    if (ready == 0) return Status(ErrorCode::timeout, "no answer in time");
    if (errno != EINTR) return errno_error("poll", errno);
  }
}

weir::Result<std::string> read_all(int fd, size_t max_bytes, Deadline deadline) {
  std::string text;
  std::array<char, 16 * 1024> buffer;
  for (;;) {
    if (Status ready = wait_ready(fd, POLLIN, deadline); !ready) return ready.error();
    const ssize_t count = read(fd, buffer.data(), buffer.size());
    if (count == 0) return text;
    if (count < 0) {
      if (errno == EINTR || errno == EAGAIN) continue;
      return errno_error("read", errno);
    }
    if (text.size() + static_cast<size_t>(count) > max_bytes) {
      return weir::Error{ErrorCode::limit,
                         "it is larger than " + std::to_string(max_bytes >> 20) + " MiB"};
    }
    text.append(buffer.data(), static_cast<size_t>(count));
  }
}

}  // namespace weir::cni
