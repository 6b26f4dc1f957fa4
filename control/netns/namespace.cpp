#include "control/netns/namespace.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>
#include <system_error>
#include <thread>

namespace weir::control {

namespace {

// nsfs is the file system of namespaces only.
bool is_namespace_file(int fd) {
  struct statfs info {};
  return fstatfs(fd, &info) == 0 && info.f_type == NSFS_MAGIC;
}

Result<NamespaceId> identify(int fd, const std::string& path) {
  struct stat info {};
  if (fstat(fd, &info) != 0) return errno_error("cannot look at " + path, errno);
  return NamespaceId{info.st_dev, info.st_ino};
}

}  // namespace

Result<Namespace> Namespace::open(const std::string& path) {
  // O_PATH only names the file; it is opened for real once it is known to be a namespace.
  const api::Fd name(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!name) return errno_error("cannot open the network namespace " + path, errno);
  const Error wrong{
      ErrorCode::invalid_argument,
      path + " is no network namespace: give the path of one, as in /proc/PID/ns/net"};
  if (!is_namespace_file(name.get())) return wrong;
  const std::string self = "/proc/self/fd/" + std::to_string(name.get());
  api::Fd fd(::open(self.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return errno_error("cannot open the network namespace " + path, errno);
  if (ioctl(fd.get(), NS_GET_NSTYPE) != CLONE_NEWNET) return wrong;
  Result<NamespaceId> id = identify(fd.get(), path);
  if (!id) return id.error();
  return Namespace(std::move(fd), *id);
}

Status Namespace::run(const std::function<Status()>& work) const {
  Status status;
  try {
    std::thread worker([&] {
      if (setns(fd_.get(), CLONE_NEWNET) != 0) {
        status = errno_error("cannot enter the network namespace", errno);
        return;
      }
      status = work();
    });
    worker.join();
  } catch (const std::system_error& failure) {
    return {ErrorCode::no_memory, std::string("cannot start a thread: ") + failure.what()};
  }
  return status;
}

bool namespace_exists(const std::string& path) { return static_cast<bool>(Namespace::open(path)); }

Result<NamespaceId> own_namespace() {
  const std::string path = "/proc/thread-self/ns/net";
  const api::Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return errno_error("cannot open " + path, errno);
  return identify(fd.get(), path);
}

}  // namespace weir::control
