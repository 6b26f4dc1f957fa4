#include "control/server/listen.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>

namespace weir::control {

namespace {

constexpr int kBacklog = 512;  // 110 pods start at once after a reboot, each with retries

Result<sockaddr_un> socket_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return {ErrorCode::invalid_argument,
            "socket path " + path + " is longer than 107 bytes: set a shorter WEIR_RUN_DIR"};
  }
  path.copy(address.sun_path, path.size());
  return address;
}

Error occupied(const std::string& path, int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  // Of a listener that was not asked to accept yet: the process that called listen().
  const bool known = getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid > 0;
  const std::string who = known ? "process " + std::to_string(peer.pid) : "another process";
  return {ErrorCode::busy, who + " already serves " + path +
                               ": stop that weir-control, or set another WEIR_RUN_DIR"};
}

// Success when nobody serves the address.
Status check_free(const std::string& path, const sockaddr_un& address) {
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) {
    return errno == ENOENT ? Status{} : Status{errno_error("cannot look at " + path, errno)};
  }
  if (!S_ISSOCK(info.st_mode)) {
    return {ErrorCode::exists, path + " is in the way and is no socket: remove it"};
  }
  const api::Fd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe) return errno_error("cannot make a socket", errno);
  const auto* target = reinterpret_cast<const sockaddr*>(&address);
  // EAGAIN: somebody listens, but its queue is full.
  if (connect(probe.get(), target, sizeof address) == 0 || errno == EAGAIN) {
    return occupied(path, probe.get());
  }
  if (errno == ECONNREFUSED) return {};
  return errno_error("cannot find out whether " + path + " is served", errno);
}

}  // namespace

Result<api::Fd> listen_at(const std::string& path) {
  const Result<sockaddr_un> address = socket_address(path);
  if (!address) return address.error();
  if (const Status is_free = check_free(path, *address); !is_free) return is_free.error();
  if (unlink(path.c_str()) != 0 && errno != ENOENT) {
    return errno_error("cannot replace the stale socket " + path, errno);
  }
  api::Fd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener) return errno_error("cannot make a socket", errno);
  // Of the socket, so that no other user can connect between bind and chmod.
  fchmod(listener.get(), S_IRUSR | S_IWUSR);
  const auto* target = reinterpret_cast<const sockaddr*>(&*address);
  if (bind(listener.get(), target, sizeof *address) != 0) {
    Error error = errno_error("cannot make the socket " + path, errno);
    error.text += ": make its directory and run weir-control as root";
    return error;
  }
  if (listen(listener.get(), kBacklog) != 0) return errno_error("cannot listen on " + path, errno);
  return listener;
}

}  // namespace weir::control
