// What the kernel says of its routes, as it happens: a dump on request, then changes.
//
// Thread safety: one thread. Nothing here blocks.
// Routes that an interface or address takes along when it goes are not all announced by the
// kernel, nor is what a full socket loses: the owner then asks for another dump.
#pragma once

#include <netlink/netlink.h>
#include <netlink/route/route.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "dataplane/api/error.h"
#include "dataplane/api/net.h"

namespace weir::control {

enum class KernelRouteKind : uint8_t { unicast, blackhole, unreachable, other };

struct KernelNextHop {
  IpAddress gateway;    // none = directly on the link
  uint32_t weight = 1;  // 1..256
  bool operator==(const KernelNextHop&) const = default;
};

struct KernelRoute {
  IpPrefix prefix;
  uint32_t table = 0;
  uint32_t priority = 0;  // the kernel takes the route with the smallest
  uint8_t protocol = 0;   // RTPROT_*
  uint8_t tos = 0;
  KernelRouteKind kind = KernelRouteKind::unicast;
  std::vector<KernelNextHop> hops;  // those whose interface has a link; unicast routes only
};

class RouteEvents {
 public:
  virtual void route_set(const KernelRoute& route) = 0;   // added, replaced, or found by a dump
  virtual void route_gone(const KernelRoute& route) = 0;
  virtual void dump_ended(bool whole) = 0;  // not whole: routes changed under it
  virtual void lost() = 0;  // something was, or may have been, missed

 protected:
  ~RouteEvents() = default;
};

class RouteMonitor {
 public:
  // In the calling thread's network namespace. Changes come from here on.
  static Result<RouteMonitor> open();

  int fd() const noexcept { return nl_socket_get_fd(socket_.get()); }  // readable: call read()
  // The answer comes through read(), changes between its parts in their right order.
  Status request_dump();
  // One message of the kernel's, with any number of routes. False: there is none now.
  Result<bool> read(RouteEvents& events);

 private:
  struct Free {
    void operator()(nl_sock* socket) const noexcept { nl_socket_free(socket); }
  };
  explicit RouteMonitor(nl_sock* socket) : socket_(socket) {}
  void handle(nlmsghdr* message, RouteEvents& events);

  std::unique_ptr<nl_sock, Free> socket_;
  bool interrupted_ = false;  // the dump in hand
};

}  // namespace weir::control
