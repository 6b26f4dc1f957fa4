// weir-control as an object: everything between reading the configuration and the
// process's end.
#pragma once

#include <memory>

#include "control/controller.h"
#include "control/metrics/metrics.h"
#include "control/routes/kernel_route_sync.h"
#include "control/server/frame_server.h"
#include "control/services/health_check.h"
#include "control/services/host_services.h"
#include "control/services/registration.h"

namespace weir::control {

class Daemon {
 public:
  // Takes the socket, the store and the node's interface; serves nothing yet. An error
  // is one sentence for the operator; nothing half done is left.
  static Result<std::unique_ptr<Daemon>> open(config::Config config, Paths paths);
  ~Daemon();

  // Serves until stop() or, after `handle_signals`, SIGTERM or SIGINT. Pods keep running.
  void run();
  void handle_signals();
  // Any thread: answers what is in hand, then run() returns.
  void stop();

 private:
  Daemon(config::Config config, Paths paths);
  Status prepare();
  Status open_store();
  Task<> start();
  Task<> finish();
  Task<> housekeeping();
  void stop_now();
  void reload();
  void refresh_node();
  void prepare_services();
  Status serve_registration();
  void start_services();
  void services_sent();
  Task<> expire_registrations();
  void on_replayed(const ReplayReport& report);
  void run_loop();
  void wait_for_signal();

  const config::Config config_;
  const Paths paths_;
  asio::io_context loop_{1};
  std::unique_ptr<asio::signal_set> signals_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Ipam> ipam_;
  BlockingPool pool_;
  BlockingPool delegates_;
  KeyLocks locks_;
  std::unique_ptr<DataplaneSession> dataplane_;
  ServiceCatalog services_;
  uint64_t shape_seen_ = 0;  // of services_, by the node's own part
  std::unique_ptr<ServiceSync> service_sync_;
  KernelRoutes kernel_routes_;
  std::unique_ptr<Controller> controller_;
  std::unique_ptr<KernelRouteSync> kernel_route_sync_;
  std::unique_ptr<HostServices> host_services_;
  std::unique_ptr<HealthChecks> health_checks_;
  std::unique_ptr<Registry> registry_;
  std::unique_ptr<HttpServer> registration_;
  std::unique_ptr<asio::steady_timer> expiry_;
  std::unique_ptr<FrameServer> server_;
  std::unique_ptr<Metrics> metrics_;
  std::unique_ptr<asio::steady_timer> housekeeping_;
  bool stopping_ = false;
};

}  // namespace weir::control
