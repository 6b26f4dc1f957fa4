#include "control/netns/tap.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstring>

#include "cni/fault/fault.h"

namespace weir::control {

namespace {

constexpr char kTunDevice[] = "/dev/net/tun";
constexpr int kTapFlags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;

Error tap_error(const std::string& name, int number) {
  Error error = errno_error("cannot open the tap " + name, number);
  if (number == EBUSY) error.code = ErrorCode::busy;
  if (number == EPERM) error.text += ": weir-control needs CAP_NET_ADMIN";
  return error;
}

Result<api::Fd> open_tap(const std::string& name, int flags) {
  api::Fd fd(::open(kTunDevice, O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (!fd) {
    Error error = errno_error(std::string("cannot open ") + kTunDevice, errno);
    error.text += ": load the tun module (modprobe tun)";
    return error;
  }
  ifreq request{};
  name.copy(request.ifr_name, sizeof request.ifr_name - 1);
  request.ifr_flags = static_cast<short>(flags);
  if (ioctl(fd.get(), TUNSETIFF, &request) != 0) return tap_error(name, errno);
  return fd;
}

}  // namespace

Result<api::Fd> create_tap(const std::string& name, const std::function<Status()>& prepare) {
  if (name.empty() || name.size() >= IFNAMSIZ || name.find('%') != std::string::npos) {
    // '%' would make the kernel number the interface itself.
    return {ErrorCode::invalid_argument, "'" + name + "' cannot name an interface: choose another"};
  }
  Result<api::Fd> fd = open_tap(name, kTapFlags | IFF_TUN_EXCL);
  if (!fd) {
    if (fd.error().code != ErrorCode::busy) return fd;
    return {ErrorCode::exists, "an interface named " + name + " is already there"};
  }
  WEIR_FAULT_ERROR("tap.made");
  if (const Status prepared = prepare(); !prepared) return prepared.error();
  WEIR_FAULT_ERROR("tap.prepared");
  if (ioctl(fd->get(), TUNSETPERSIST, 1) != 0) return tap_error(name, errno);
  WEIR_FAULT_ERROR("tap.persistent");
  return fd;
}

Result<api::Fd> attach_tap(const std::string& name) {
  // Without this TUNSETIFF would make a new device.
  if (if_nametoindex(name.c_str()) == 0) {
    return {ErrorCode::not_found, "no interface named " + name + " is there"};
  }
  return open_tap(name, kTapFlags);
}

}  // namespace weir::control
