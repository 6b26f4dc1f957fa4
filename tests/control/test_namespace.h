// A network namespace for one test; gone with the object, whatever the test did.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "control/netns/namespace.h"
#include "dataplane/api/codec.h"

namespace weir::control {

class TestNamespace {
 public:
  TestNamespace() {
    std::thread([this] {
      if (unshare(CLONE_NEWNET) != 0) return;
      fd_.reset(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    }).join();
  }

  bool made() const { return static_cast<bool>(fd_); }
  // Good for this process only.
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_.get()); }

  Status run(const std::function<Status()>& work) const {
    const Result<Namespace> space = Namespace::open(path());
    return space ? space->run(work) : Status{space.error()};
  }

 private:
  api::Fd fd_;
};

// Everything with network namespaces and taps needs both.
inline std::string missing_privilege() {
  if (geteuid() != 0) return "needs root";
  if (!TestNamespace().made()) return "needs CAP_SYS_ADMIN to make network namespaces";
  if (access("/dev/net/tun", R_OK | W_OK) != 0) return "needs /dev/net/tun";
  return "";
}

#define WEIR_NEEDS_NAMESPACES()                                       \
  do {                                                                \
    const std::string missing = ::weir::control::missing_privilege(); \
    if (!missing.empty()) GTEST_SKIP() << missing;                    \
  } while (false)

}  // namespace weir::control
