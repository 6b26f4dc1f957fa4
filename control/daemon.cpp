#include "control/daemon.h"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <cerrno>
#include <exception>

#include "control/cni/teardown.h"
#include "control/reconcile/adopt.h"
#include "control/reconcile/desired_state.h"
#include "control/reconcile/host_port.h"
#include "control/reconcile/spool.h"
#include "control/reconcile/startup.h"
#include "control/reconcile/uplinks.h"
#include "control/server/dispatcher.h"
#include "control/server/listen.h"
#include "control/services/sources.h"

namespace weir::control {

namespace {

constexpr size_t kBlockingThreads = 8;  // network namespaces, IPAM plugins worked on at once
constexpr std::chrono::seconds kHousekeeping(10);
constexpr std::chrono::milliseconds kExpiryInterval(200);  // how late a registration may end
constexpr std::chrono::milliseconds kStopPoll(10);
constexpr std::chrono::seconds kStopPatience(15);  // more than any request can take

Status make_directory(const std::string& path, mode_t mode) {
  if (mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return {};
  Error error = errno_error("cannot make " + path, errno);
  error.text += ": make it, or set another WEIR_RUN_DIR";
  return error;
}

Status check_writable(const std::string& path) {
  if (access(path.c_str(), W_OK | X_OK) == 0) return {};
  Error error = errno_error("cannot write to " + path, errno);
  error.text += ": give it to root and make it writable, or set another WEIR_RUN_DIR";
  return error;
}

}  // namespace

Daemon::Daemon(config::Config config, Paths paths)
    : config_(std::move(config)),
      paths_(std::move(paths)),
      pool_(loop_, kBlockingThreads),
      delegates_(loop_, kBlockingThreads),
      locks_(loop_),
      kernel_routes_(config_.network) {}

Daemon::~Daemon() {
  metrics_.reset();  // its threads ask the loop and the session
  if (dataplane_) dataplane_->stop();
}

Result<std::unique_ptr<Daemon>> Daemon::open(config::Config config, Paths paths) {
  std::unique_ptr<Daemon> daemon(new Daemon(std::move(config), std::move(paths)));
  if (const Status prepared = daemon->prepare(); !prepared) return prepared.error();
  return daemon;
}

Status Daemon::open_store() {
  Result<std::unique_ptr<Store>> store = Store::open(paths_.state_dir);
  if (!store) return store.error();
  store_ = *std::move(store);
  if (store_->recovered()) {
    spdlog::error("the store was damaged; the damaged file is {}", store_->quarantined());
  }
  Result<std::unique_ptr<Ipam>> ipam = Ipam::open(*store_);
  if (!ipam) return ipam.error();
  ipam_ = *std::move(ipam);
  adopt_recorded(*store_, *ipam_, paths_.records_dir());
  return {};
}

Status Daemon::prepare() {
  if (const Status made = make_directory(paths_.run_dir, 0755); !made) return made;
  if (const Status writable = check_writable(paths_.run_dir); !writable) return writable;
  Result<api::Fd> listener = listen_at(paths_.cni_socket());
  if (!listener) return listener.error();
  if (const Status opened = open_store(); !opened) return opened;
  dataplane_ = std::make_unique<DataplaneSession>(
      loop_, SessionOptions{.socket = paths_.dataplane_socket()},
      SessionEvents{.plan = [this] { return desired_state(*controller_); },
                    .replayed = [this](const ReplayReport& report) { on_replayed(report); }});
  service_sync_ = std::make_unique<ServiceSync>(loop_, *dataplane_, services_);
  controller_.reset(new Controller{config_,
                                   paths_,
                                   *store_,
                                   *ipam_,
                                   pool_,
                                   delegates_,
                                   locks_,
                                   *dataplane_,
                                   services_,
                                   *service_sync_,
                                   kernel_routes_,
                                   {},
                                   {}});
  kernel_route_sync_ = std::make_unique<KernelRouteSync>(loop_, *controller_);
  if (const Status followed = kernel_route_sync_->start(); !followed) return followed;
  prepare_services();
  server_ = std::make_unique<FrameServer>(loop_, *std::move(listener), [this](std::string body) {
    return dispatch(*controller_, std::move(body));
  });
  Result<std::unique_ptr<Metrics>> metrics =
      Metrics::start(config_.control.metrics, loop_, *controller_);
  if (!metrics) return metrics.error();
  metrics_ = *std::move(metrics);
  if (const Status made = ensure_host_port(*controller_); !made) return made;
  return serve_registration();
}

void Daemon::prepare_services() {
  host_services_ = std::make_unique<HostServices>(*controller_);
  health_checks_ = std::make_unique<HealthChecks>(loop_, services_);
  service_sync_->on_sent([this] { services_sent(); });
  registry_ = std::make_unique<Registry>(*store_, services_, [this] { service_sync_->changed(); });
}

// Its address may be the host port's, which is there by now.
Status Daemon::serve_registration() {
  const std::string& endpoint = config_.services.registration;
  if (endpoint.empty()) return {};
  const auto answer = [this](const HttpRequest& request) {
    return registry_->answer(request, Registry::Clock::now());
  };
  auto server = HttpServer::listen(loop_, endpoint, answer);
  if (!server) {
    return {server.error().code, "services.registration: " + server.error().text};
  }
  registration_ = *std::move(server);
  return {};
}

// Everything is known before the dataplane hears of anything.
void Daemon::start_services() {
  const std::vector<StoredObject> stored = read_stored(*controller_);
  load_services(*controller_, stored);
  registry_->load(stored, Registry::Clock::now());
  dataplane_->start();
  service_sync_->start();
  asio::co_spawn(loop_, expire_registrations(), asio::detached);
}

void Daemon::services_sent() {
  if (stopping_ || std::exchange(shape_seen_, services_.shape()) == services_.shape()) return;
  host_services_->update();
  health_checks_->update();
}

Task<> Daemon::expire_registrations() {
  expiry_ = std::make_unique<asio::steady_timer>(loop_);
  while (!stopping_) {
    const auto now = Registry::Clock::now();
    registry_->expire(now);
    expiry_->expires_at(now + kExpiryInterval);
    boost::system::error_code cancelled;
    co_await expiry_->async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
  }
}

void Daemon::on_replayed(const ReplayReport& report) {
  spdlog::info("dataplane: replay {} set {} ports and {} routes, swept {} and {}",
               report.generation, report.ports, report.routes.applied, report.ports_swept,
               report.routes_swept);
  spdlog::info("dataplane: replay {} set {} frontends and {} groups", report.generation,
               report.services.frontends, report.services.groups);
  for (const ReplayReport::Failure& failure : report.failed_ports) {
    spdlog::warn("dataplane: port {}: {}", failure.port_key, failure.error.text);
  }
  for (const Error& error : report.routes.failed) spdlog::warn("dataplane: route {}", error.text);
  service_sync_->replayed(report.services.failed);
  keep_kernel_from_forwarding(config_.network);
  services_sent();            // the plan may have held changes that no flush sent
  host_services_->refresh();  // the host port's interface may have been made anew
  if (!report.failed_ports.empty()) {
    asio::co_spawn(loop_, retry_ports(*controller_, report.failed_ports), asio::detached);
  }
}

Task<> Daemon::start() {
  const Status reconciled = co_await reconcile_store(*controller_);
  if (!reconciled) spdlog::error("cannot reconcile the store: {}", reconciled.error().text);
  const Status recovered = store_->finish_recovery();
  if (!recovered) spdlog::error("{}", recovered.error().text);
  if (stopping_) co_return;
  start_services();
  server_->start();
  asio::co_spawn(loop_, housekeeping(), asio::detached);
  spdlog::info("weir-control {} serves {}", WEIR_VERSION, paths_.cni_socket());
}

Task<> Daemon::housekeeping() {
  housekeeping_ = std::make_unique<asio::steady_timer>(loop_);
  while (!stopping_) {
    housekeeping_->expires_after(kHousekeeping);
    boost::system::error_code cancelled;
    co_await housekeeping_->async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    if (stopping_) break;
    refresh_node();
    co_await drain_spool(*controller_);
    co_await finish_teardowns(*controller_);
    if (ipam_->pending_removals() == 0) continue;
    if (const Status freed = ipam_->retry(); !freed) spdlog::warn("{}", freed.error().text);
  }
}

void Daemon::handle_signals() {
  signals_ = std::make_unique<asio::signal_set>(loop_, SIGTERM, SIGINT, SIGHUP);
  wait_for_signal();
}

void Daemon::wait_for_signal() {
  signals_->async_wait([this](boost::system::error_code cancelled, int number) {
    if (cancelled) return;
    if (number != SIGHUP) {
      stop_now();
      return;
    }
    reload();
    wait_for_signal();
  });
}

void Daemon::reload() {
  if (config_.services.directory.empty()) {
    spdlog::warn("SIGHUP reads services.directory again, which is not set");
    return;
  }
  const auto files = reload_directory(*controller_);
  if (files) {
    spdlog::info("services: read {} files of {}", *files, config_.services.directory);
  } else {
    spdlog::error("services: the directory is not read, what it held before stays: {}: {}",
                  files.error().msg, files.error().details);
  }
}

void Daemon::refresh_node() {
  keep_kernel_from_forwarding(config_.network);
  services_.set_node(read_node_facts(*controller_));
  service_sync_->changed();
}

void Daemon::stop() {
  asio::post(loop_, [this] { stop_now(); });
}

void Daemon::stop_now() {
  if (std::exchange(stopping_, true)) return;
  spdlog::info("weir-control stops; pods keep running");
  asio::co_spawn(loop_, finish(), asio::detached);
}

Task<> Daemon::finish() {
  server_->stop();
  if (housekeeping_) housekeeping_->cancel();
  service_sync_->stop();
  kernel_route_sync_->stop();
  registration_.reset();
  health_checks_.reset();
  if (expiry_) expiry_->cancel();
  const auto end = std::chrono::steady_clock::now() + kStopPatience;
  asio::steady_timer timer(loop_);
  // What is in hand ends by itself: every step has a deadline.
  while (server_->busy() > 0 && std::chrono::steady_clock::now() < end) {
    timer.expires_after(kStopPoll);
    co_await timer.async_wait(asio::use_awaitable);
  }
  metrics_.reset();
  dataplane_->stop();
  unlink(paths_.cni_socket().c_str());
  loop_.stop();
}

void Daemon::run_loop() {
  try {
    loop_.run();
  } catch (const std::exception& failure) {
    spdlog::critical("a task failed: {}", failure.what());
  }
}

void Daemon::run() {
  asio::co_spawn(loop_, start(), asio::detached);
  while (!loop_.stopped()) run_loop();
}

}  // namespace weir::control
