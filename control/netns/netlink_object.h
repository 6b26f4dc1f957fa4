// Ownership and conversions for libnl objects. Private to control/netns.
#pragma once

#include <netlink/addr.h>
#include <netlink/cache.h>
#include <netlink/errno.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/neighbour.h>
#include <netlink/route/route.h>
#include <sys/socket.h>

#include <cstring>
#include <memory>
#include <string>

#include "dataplane/api/error.h"
#include "dataplane/api/net.h"

namespace weir::control {

template <auto Put>
struct PutWith {
  template <class T>
  void operator()(T* object) const noexcept {
    Put(object);
  }
};
using OwnedLink = std::unique_ptr<rtnl_link, PutWith<rtnl_link_put>>;
using OwnedAddr = std::unique_ptr<rtnl_addr, PutWith<rtnl_addr_put>>;
using OwnedRoute = std::unique_ptr<rtnl_route, PutWith<rtnl_route_put>>;
using OwnedNeighbour = std::unique_ptr<rtnl_neigh, PutWith<rtnl_neigh_put>>;
using OwnedCache = std::unique_ptr<nl_cache, PutWith<nl_cache_free>>;
using OwnedAddress = std::unique_ptr<nl_addr, PutWith<nl_addr_put>>;

inline int kernel_family(const IpAddress& address) noexcept {
  return address.is_ip4() ? AF_INET : AF_INET6;
}

inline OwnedAddress to_netlink(const IpAddress& address, uint8_t length) {
  OwnedAddress out(
      nl_addr_build(kernel_family(address), address.bytes.data(), address.bits() / 8U));
  nl_addr_set_prefixlen(out.get(), length);
  return out;
}

inline OwnedAddress to_netlink(const MacAddress& mac) {
  return OwnedAddress(nl_addr_build(AF_LLC, mac.bytes.data(), mac.bytes.size()));
}

// none for what is neither IPv4 nor IPv6 (nullptr included).
inline IpAddress from_netlink(const nl_addr* address) noexcept {
  IpAddress out;
  if (address == nullptr) return out;
  const int family = nl_addr_get_family(address);
  if (family != AF_INET && family != AF_INET6) return out;
  out.family = family == AF_INET ? Family::ip4 : Family::ip6;
  // The default prefix has no bytes.
  const size_t length = std::min<size_t>(nl_addr_get_len(address), out.bytes.size());
  std::memcpy(out.bytes.data(), nl_addr_get_binary_addr(address), length);
  return out;
}

inline Error netlink_error(const std::string& what, int number) {
  ErrorCode code = ErrorCode::io;
  switch (std::abs(number)) {
    case NLE_EXIST: code = ErrorCode::exists; break;
    case NLE_OBJ_NOTFOUND:
    case NLE_NODEV: code = ErrorCode::not_found; break;
    case NLE_PERM:
    case NLE_NOACCESS: code = ErrorCode::permission; break;
    case NLE_OPNOTSUPP:
    case NLE_AF_NOSUPPORT: code = ErrorCode::unsupported; break;
    case NLE_NOMEM: code = ErrorCode::no_memory; break;
    case NLE_BUSY: code = ErrorCode::busy; break;
    case NLE_INVAL:
    case NLE_RANGE: code = ErrorCode::invalid_argument; break;
    default: break;
  }
  return {code, what + ": " + nl_geterror(number)};
}

inline Status netlink_status(const std::string& what, int number) {
  return number >= 0 ? Status{} : Status{netlink_error(what, number)};
}

}  // namespace weir::control
