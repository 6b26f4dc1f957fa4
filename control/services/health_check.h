// Health check NodePorts: an HTTP server for each service with healthCheckNodePort, which
// tells load balancers outside whether this node has endpoints of its own for it.
#pragma once

#include <map>

#include "control/server/http_server.h"
#include "control/services/catalog.h"

namespace weir::control {

// 200 with local ready endpoints, 503 without; the body is kube-proxy's:
// {"service": {"namespace", "name"}, "localEndpoints": N}.
HttpResponse health_answer(const ServiceCatalog& catalog, const ObjectName& name);

// Threads: the control thread.
class HealthChecks {
 public:
  HealthChecks(asio::io_context& loop, const ServiceCatalog& catalog)
      : loop_(loop), catalog_(catalog) {}

  // Opens and closes servers as the catalog has it. A port that is taken is reported once.
  void update();

 private:
  struct Check {
    ObjectName service;
    std::unique_ptr<HttpServer> server;  // nullptr: its port is taken
  };

  void open(uint16_t port, const ObjectName& service);

  asio::io_context& loop_;
  const ServiceCatalog& catalog_;
  std::map<uint16_t, Check> checks_;
};

}  // namespace weir::control
