// The dataplane as one object: tables, ports and workers, without process set-up.
// Threads: main thread, except what the workers do on their own.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "dataplane/api/path.h"
#include "dataplane/ports/memif/port.h"
#include "dataplane/ports/vhost/port.h"
#include "dataplane/runtime/event_loop.h"
#include "dataplane/runtime/port_registry.h"
#include "dataplane/runtime/uplinks.h"
#include "dataplane/tables/connection_table.h"
#include "dataplane/tables/service_table.h"

namespace weir::dataplane {

struct DataplaneOptions {
  std::vector<uint32_t> cores;  // one worker each, at least one
  bool hugepages = false;       // ask for hugepages for the workers' memory
  uint32_t connections = 1U << 20;  // that are translated at once
};

// Routes the addresses of frontends to services.
class RoutedFrontends final : public FrontendAddresses {
 public:
  RoutedFrontends(RouteTable& routes, ConnectionTable& connections)
      : routes_(routes), connections_(connections) {}
  Status frontend_address_added(const IpAddress& address) override;
  void frontend_address_removed(const IpAddress& address) override { routes_.service_removed(address); }

 private:
  RouteTable& routes_;
  ConnectionTable& connections_;
};

class Dataplane {
 public:
  static Result<std::unique_ptr<Dataplane>> make(const DataplaneOptions& options, EventLoop& loop);
  ~Dataplane();  // the workers have returned
  Dataplane(const Dataplane&) = delete;
  Dataplane& operator=(const Dataplane&) = delete;

  std::vector<Worker*> workers() const;
  void stop_workers() noexcept;

  PortRegistry& ports() noexcept { return ports_; }
  Uplinks& uplinks() noexcept { return uplinks_; }
  RouteTable& routes() noexcept { return routes_; }
  ServiceTable& services() noexcept { return services_; }
  const ConnectionTable& connections() const noexcept { return connections_; }
  Status set_service_settings(const api::ServiceSettings& settings);
  Status set_prefix(const api::PrefixMember& record);
  std::vector<api::ConnectionState> list_connections(const api::ConnectionQuery& query) const;
  api::DataplaneStatus status() const;
  uint64_t instance() const noexcept { return instance_; }

  // The generation that port_set and route_set mark what they set with.
  uint64_t generation() const noexcept { return generation_; }
  void replay_begin(uint64_t generation) noexcept;
  Result<api::Replay> replay_end(uint64_t generation);

  // What would become of a packet (nodes/dry_run.h). not_found: its port is not there;
  // invalid_argument: no such packet can be sent from that port.
  Result<api::PathTrace> trace_route(const api::PathQuery& query);

  void trace(const api::TraceFilter& filter);
  std::vector<api::TraceRecord> read_trace();

 private:
  Dataplane(const DataplaneOptions& options, EventLoop& loop);
  Result<std::unique_ptr<Port>> make_port(const api::PortConfig& config, api::Fd tap, Worker& worker);
  void housekeep();

  EventLoop& loop_;
  uint64_t instance_;
  EventLoop::Clock::time_point started_ = EventLoop::Clock::now();
  uint64_t generation_ = 0;
  uint64_t replayed_ = 0;
  EventLoop::TimerId housekeeping_ = 0;
  Rcu rcu_;
  Fib4 fib4_;
  Fib6 fib6_;
  Adjacencies adjacencies_;
  RouteTable routes_;
  BackendPool backends_;
  ConnectionTable connections_;
  RoutedFrontends frontends_;
  ServiceTable services_;
  std::unique_ptr<memif::MemifService> memif_;
  std::unique_ptr<vhost::VhostService> vhost_;
  std::vector<std::unique_ptr<Worker>> workers_;  // outlive the ports, which detach from them
  PortRegistry ports_;
  Uplinks uplinks_;
};

}  // namespace weir::dataplane
