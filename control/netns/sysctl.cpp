#include "control/netns/sysctl.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "dataplane/api/codec.h"

namespace weir::control {

namespace {

// /proc/sys/net shows the namespace of the thread that opens it.
Status write_ip6(const std::string& ifname, const std::string& name, char value) {
  const std::string path = "/proc/sys/net/ipv6/conf/" + ifname + "/" + name;
  const api::Fd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd) return errno_error("cannot open " + path, errno);
  char now = 0;
  // Writing the value that is there would only send a notification.
  if (pread(fd.get(), &now, 1, 0) == 1 && now == value) return {};
  if (write(fd.get(), &value, 1) != 1) return errno_error("cannot write " + path, errno);
  return {};
}

}  // namespace

Status ignore_router_advertisements(const std::string& ifname) {
  for (const char* name : {"accept_ra", "autoconf"}) {
    const Status status = write_ip6(ifname, name, '0');
    if (!status && status.error().code != ErrorCode::not_found) return status;
  }
  return {};
}

Status enable_ip6(const std::string& ifname) {
  const Status status = write_ip6(ifname, "disable_ipv6", '0');
  if (status || status.error().code != ErrorCode::not_found) return status;
  return {ErrorCode::unsupported,
          "this kernel has no IPv6: remove the IPv6 prefix from network.pod_cidrs"};
}

}  // namespace weir::control
