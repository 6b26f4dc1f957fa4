// Services in the node's own network namespace: routes to their addresses, NodePorts on
// the node's addresses, masquerade of pods, forwarding for what comes from and goes outside.
#pragma once

#include "control/controller.h"
#include "control/netns/service_routes.h"
#include "control/services/node_ports.h"

namespace weir::control {

// What the node's namespace should have.
struct HostServiceState {
  std::set<IpAddress> routes;
  NodePortRules rules;
  // Over IPv4 clients outside reach a service, or pods networks outside: the node forwards.
  bool outside4 = false;
  bool outside6 = false;

  bool operator==(const HostServiceState&) const = default;
};

HostServiceState host_services(const Controller& controller);

// Threads: the control thread; the work itself is done on the pool.
class HostServices {
 public:
  explicit HostServices(Controller& controller) : controller_(controller) {}

  // To be called after changes of the catalog; what changes while one is being carried out
  // is carried out after it.
  void update();
  // The same even when nothing changed: somebody may have taken the routes away.
  void refresh();

 private:
  Task<> apply();

  Controller& controller_;
  std::optional<HostServiceState> wanted_;
  bool running_ = false;
  bool again_ = false;
};

}  // namespace weir::control
