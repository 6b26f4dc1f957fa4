// rtnetlink in the calling thread's network namespace (libnl-3-route).
//
// Thread safety: one thread uses a Netlink. Every call is synchronous.
// Errors: exists, not_found, permission, unsupported or io, with the kernel's text.
#pragma once

#include <netlink/netlink.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/api/error.h"
#include "dataplane/api/net.h"

namespace weir::control {

struct Link {
  int index = 0;
  std::string name;
  std::string kind;  // "tun" for TUN and TAP devices, "" for hardware
  std::string alias;
  MacAddress mac;
  uint32_t mtu = 0;  // L3 bytes
  bool up = false;
};

struct LinkAddress {
  IpAddress address;
  uint8_t length = 0;
};

// A route in the main table. Without a gateway its scope is link.
struct LinkRoute {
  IpPrefix prefix;
  int link = 0;       // interface index
  IpAddress gateway;  // none = directly on the link; else taken as on-link, whatever routes say
  IpAddress source;   // preferred source, none = the kernel chooses
  // 0 = the interface's or the kernel's value.
  uint32_t mtu = 0;
  uint32_t advmss = 0;
  uint32_t priority = 0;
  uint32_t table = 0;  // 0 = main
};

class Netlink {
 public:
  static Result<Netlink> open();

  // nullopt when there is no such link.
  Result<std::optional<Link>> find_link(const std::string& name);
  Status set_mtu(int link, uint32_t mtu);
  // All three in one request.
  Status set_identity(int link, const std::string& alias, const MacAddress& mac, uint32_t mtu);
  Status set_up(int link);
  // A link that is gone is success. Returns when the namespace has lost the link; the
  // kernel frees it some milliseconds later.
  static Status delete_link(int link);

  // An address that is there already is success. IPv6 addresses are usable at once:
  // their uniqueness is the lease's, not duplicate address detection's.
  Status add_address(int link, const IpAddress& address, uint8_t length);
  Status delete_address(int link, const IpAddress& address, uint8_t length);
  Result<std::vector<LinkAddress>> addresses(int link);

  Status add_route(const LinkRoute& route);
  // An absent route is success.
  Status delete_route(const LinkRoute& route);
  // Unicast routes of the main table over `link`, the kernel's own left out.
  Result<std::vector<LinkRoute>> routes(int link);

  // Permanent; replaces what is there.
  Status set_neighbour(int link, const IpAddress& address, const MacAddress& mac);

 private:
  struct Free {
    void operator()(nl_sock* socket) const noexcept;
  };
  explicit Netlink(nl_sock* socket) : socket_(socket) {}
  template <class Change>
  Status change_link(int link, const char* what, Change change);

  std::unique_ptr<nl_sock, Free> socket_;
};

}  // namespace weir::control
