// Follows the kernel's routes and keeps the dataplane in step with them.
#pragma once

#include "control/controller.h"
#include "control/netns/route_monitor.h"

namespace weir::control {

// A storm of changes goes to the dataplane in batches, one on its way at a time, so that
// requests of others come between them.
// Threads: the control thread.
class KernelRouteSync final : private RouteEvents {
 public:
  KernelRouteSync(asio::io_context& loop, Controller& controller)
      : loop_(loop), controller_(controller), routes_(controller.kernel_routes), pause_(loop) {}

  // Nothing to do when no protocol is taken over. In the node's network namespace.
  Status start();
  void stop();

 private:
  void route_set(const KernelRoute& route) override { routes_.set(route); }
  void route_gone(const KernelRoute& route) override;
  void dump_ended(bool whole) override;
  void lost() override { stale_ = true; }

  Task<> follow();
  bool read_some();
  void refresh();
  void changed();
  Task<> flush();
  Task<> send(std::vector<IpPrefix> prefixes);

  asio::io_context& loop_;
  Controller& controller_;
  KernelRoutes& routes_;
  std::optional<RouteMonitor> monitor_;
  std::optional<asio::posix::stream_descriptor> socket_;
  asio::steady_timer pause_;
  bool stale_ = false;     // a dump is needed
  bool dumping_ = false;   // one is on its way
  bool flushing_ = false;  // a coroutine sends changes
  bool stopping_ = false;
};

}  // namespace weir::control
