#include "dataplane/ports/memif/path_socket.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>

namespace weir::dataplane::memif {

namespace {

constexpr int kBacklog = 16;

Result<api::Fd> open_directory(const std::string& path) {
  if (mkdir(path.c_str(), 0750) != 0 && errno != EEXIST) {
    return errno_error("cannot make the socket directory " + path, errno);
  }
  api::Fd directory(open(path.c_str(), O_DIRECTORY | O_NOFOLLOW | O_RDONLY | O_CLOEXEC));
  if (!directory) return errno_error("cannot open the socket directory " + path, errno);
  struct stat status {};
  if (fstat(directory.get(), &status) != 0)
    return errno_error("cannot read the socket directory " + path, errno);
  if ((status.st_mode & S_IWOTH) != 0) {
    return Error{
        ErrorCode::permission,
        "the socket directory " + path + " is writable by everybody: remove that with chmod o-w"};
  }
  if (status.st_uid != 0 && status.st_uid != geteuid()) {
    return Error{ErrorCode::permission, "the socket directory " + path +
                                            " belongs to another user: give it to root with chown"};
  }
  return directory;
}

std::optional<struct stat> stat_at(int directory, const std::string& name) {
  struct stat status {};
  if (fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return std::nullopt;
  return status;
}

// bind() and connect() take no dirfd; a descriptor stands in for the path.
sockaddr_un address_of(int fd, const std::string& name = "") {
  const std::string path = "/proc/self/fd/" + std::to_string(fd) + name;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), std::min(path.size(), sizeof address.sun_path - 1));
  return address;
}

Status bind_at(int socket, int directory, const std::string& name) {
  const sockaddr_un address = address_of(directory, "/" + name);
  if (!std::string_view(address.sun_path).ends_with("/" + name)) {
    return {ErrorCode::invalid_argument, "the socket's file name is too long: " + name};
  }
  if (bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return errno_error("cannot bind the socket " + name, errno);
  }
  return {};
}

}  // namespace

Result<PathSocket> PathSocket::create(const PathSocketConfig& config) {
  const size_t slash = config.path.rfind('/');
  if (config.path.empty() || config.path[0] != '/' || slash == 0 ||
      slash + 1 == config.path.size()) {
    return {ErrorCode::invalid_argument,
            "the socket path must be an absolute path in a directory: " + config.path};
  }
  Result<api::Fd> directory = open_directory(config.path.substr(0, slash));
  if (!directory) return directory.error();
  PathSocket made(std::move(*directory), config.path.substr(slash + 1));
  Status status = made.bind_and_listen(config);
  if (!status) return status.error();
  return made;
}

// Bound under another name, then moved into place: whoever finds the path finds a socket
// with its final owner and mode.
Status PathSocket::bind_and_listen(const PathSocketConfig& config) {
  const auto there = stat_at(directory_.get(), name_);
  if (there && !S_ISSOCK(there->st_mode)) {
    return {ErrorCode::exists, config.path + " is in the way and not a socket: remove it"};
  }
  socket_.reset(socket(AF_UNIX, config.type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket_) return errno_error("cannot create a socket", errno);
  const std::string fresh = "." + name_ + ".new";
  unlinkat(directory_.get(), fresh.c_str(), 0);
  fchmod(socket_.get(), 0600);  // what bind() gives the file: nobody else meanwhile
  if (Status bound = bind_at(socket_.get(), directory_.get(), fresh); !bound) return bound;
  const auto undo = [&](const char* what) {
    const int error = errno;
    unlinkat(directory_.get(), fresh.c_str(), 0);
    return Status(errno_error(what + config.path, error));
  };
  if (fchownat(directory_.get(), fresh.c_str(), config.uid, config.gid, AT_SYMLINK_NOFOLLOW) != 0) {
    return undo("cannot set the owner of ");
  }
  if (fchmodat(directory_.get(), fresh.c_str(), config.mode & 0777, 0) != 0)
    return undo("cannot set the mode of ");
  if (listen(socket_.get(), kBacklog) != 0) return undo("cannot listen on ");
  const auto own = stat_at(directory_.get(), fresh);
  if (!own || renameat(directory_.get(), fresh.c_str(), directory_.get(), name_.c_str()) != 0) {
    return undo("cannot put into place ");
  }
  inode_ = own->st_ino;
  return {};
}

PathSocket::~PathSocket() {
  if (!directory_ || inode_ == 0) return;  // moved from, or never in place
  const auto there = stat_at(directory_.get(), name_);
  if (there && S_ISSOCK(there->st_mode) && there->st_ino == inode_)
    unlinkat(directory_.get(), name_.c_str(), 0);
}

Result<api::Fd> connect_socket(const std::string& path, int type) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_NO_SYMLINKS;
  const api::Fd file(
      static_cast<int>(syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof how)));
  if (!file && errno == ELOOP)
    return {ErrorCode::config, "a symbolic link is on the way to " + path + ": give the real path"};
  if (!file) return errno_error("no server at " + path, errno);
  struct stat status {};
  if (fstat(file.get(), &status) != 0 || !S_ISSOCK(status.st_mode))
    return {ErrorCode::config, path + " is not a socket"};
  api::Fd socket(::socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return errno_error("cannot create a socket", errno);
  const sockaddr_un address = address_of(file.get());
  if (connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return errno_error("no server answers at " + path, errno);
  return socket;
}

bool hung_up(int socket) {
  pollfd state{.fd = socket, .events = POLLRDHUP, .revents = 0};
  return poll(&state, 1, 0) == 1 && (state.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

ucred credentials_of(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size);
  return peer;
}

PathSocketConfig path_socket_config(const api::PortConfig& config, int type) {
  PathSocketConfig path{.path = api::get_text(config.socket_path),
                        .uid = config.socket_uid,
                        .gid = config.socket_gid,
                        .type = type};
  if (config.socket_mode != 0) path.mode = static_cast<mode_t>(config.socket_mode);
  return path;
}

}  // namespace weir::dataplane::memif
