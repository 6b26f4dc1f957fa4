#include "control/netns/sysctl.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "dataplane/api/codec.h"

namespace weir::control {

namespace {

// /proc/sys/net shows the namespace of the thread that opens it.
Status write_setting(const std::string& path, char value) {
  const api::Fd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd) return errno_error("cannot open " + path, errno);
  char now = 0;
  // Writing the value that is there would only send a notification.
  if (pread(fd.get(), &now, 1, 0) == 1 && now == value) return {};
  if (write(fd.get(), &value, 1) != 1) return errno_error("cannot write " + path, errno);
  return {};
}

Status write_ip6(const std::string& ifname, const std::string& name, char value) {
  return write_setting("/proc/sys/net/ipv6/conf/" + ifname + "/" + name, value);
}

constexpr char kForwarding4[] = "/proc/sys/net/ipv4/ip_forward";
constexpr char kForwarding6[] = "/proc/sys/net/ipv6/conf/all/forwarding";

}  // namespace

bool forwards(Family family) {
  const api::Fd fd(
      ::open(family == Family::ip4 ? kForwarding4 : kForwarding6, O_RDONLY | O_CLOEXEC));
  char now = 0;
  return fd && pread(fd.get(), &now, 1, 0) == 1 && now == '1';
}

Status enable_forwarding4() {
  const api::Fd fd(::open(kForwarding4, O_WRONLY | O_CLOEXEC));
  if (fd && write(fd.get(), "1", 1) == 1) return {};
  return errno_error(std::string("cannot write ") + kForwarding4, errno);
}

Status stop_forwarding_from(const std::string& ifname) {
  for (const char* family : {"ipv4", "ipv6"}) {
    const Status status = write_setting("/proc/sys/net/" + std::string(family) + "/conf/" + ifname + "/forwarding", '0');
    if (!status && status.error().code != ErrorCode::not_found) return status;
  }
  return {};
}

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
