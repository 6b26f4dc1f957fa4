#include "dataplane/runtime/dataplane.h"

#include <numa.h>
#include <sys/random.h>
#include <unistd.h>

#include "dataplane/api/masquerade.h"
#include "dataplane/core/tsc.h"
#include "dataplane/ports/kernel/host_port.h"

namespace weir::dataplane {

namespace {

// Frees what waited for a grace period, and looks after ports. Short enough that a
// deleted port's descriptors are closed before anyone looks.
constexpr auto kHousekeeping = std::chrono::milliseconds(10);

// Of the connection table: what is left is for pods, whatever comes in from outside.
constexpr uint32_t kOutsideShare = 2;

uint64_t random_instance() {
  uint64_t value = 0;
  if (getrandom(&value, sizeof value, 0) != sizeof value || value == 0) value = tsc();
  return value;
}

int node_of(uint32_t core) { return numa_available() >= 0 ? numa_node_of_cpu(static_cast<int>(core)) : -1; }

}  // namespace

Dataplane::Dataplane(const DataplaneOptions& options, EventLoop& loop)
    : loop_(loop),
      instance_(random_instance()),
      rcu_(static_cast<uint32_t>(options.cores.size())),
      fib4_(rcu_),
      fib6_(rcu_),
      adjacencies_(rcu_),
      routes_(fib4_, fib6_, adjacencies_),
      backends_(rcu_),
      connections_(rcu_, backends_,
                   {.capacity = options.connections, .workers = static_cast<uint32_t>(options.cores.size())}),
      frontends_(routes_, connections_),
      services_(rcu_, backends_, frontends_),
      ports_(
          rcu_, routes_,
          [this](const api::PortConfig& config, api::Fd tap, Worker& worker) {
            return make_port(config, std::move(tap), worker);
          },
          [this](uint16_t index) { connections_.forget_port(index); }),
      uplinks_(rcu_, routes_, ports_) {
  connections_.set_outside_quota(std::max(options.connections / kOutsideShare, 1U));
}

Result<std::unique_ptr<Dataplane>> Dataplane::make(const DataplaneOptions& options, EventLoop& loop) {
  std::unique_ptr<Dataplane> dataplane(new Dataplane(options, loop));
  auto memif = memif::MemifService::create(loop, dataplane->rcu_);
  if (!memif) return memif.error();
  dataplane->memif_ = *std::move(memif);
  auto vhost = vhost::VhostService::create(loop, dataplane->rcu_);
  if (!vhost) return vhost.error();
  dataplane->vhost_ = *std::move(vhost);
  const SharedTables tables{dataplane->ports_.slots(), &dataplane->fib4_, &dataplane->fib6_,
                            &dataplane->adjacencies_,   &dataplane->connections_,
                            &dataplane->services_,      &dataplane->backends_};
  for (uint32_t i = 0; i < options.cores.size(); ++i) {
    const WorkerPlace place{i, options.cores[i], node_of(options.cores[i]), options.hugepages};
    auto worker = Worker::make(place, tables, dataplane->rcu_);
    if (!worker) return worker.error();
    dataplane->workers_.push_back(*std::move(worker));
  }
  const std::vector<Worker*> workers = dataplane->workers();
  for (Worker* worker : workers) worker->meet(workers);
  dataplane->ports_.use(workers);
  dataplane->uplinks_.use(workers);
  dataplane->housekeeping_ = loop.every(kHousekeeping, [raw = dataplane.get()] { raw->housekeep(); });
  return dataplane;
}

Dataplane::~Dataplane() {
  loop_.cancel(housekeeping_);
  ports_.clear();
  // The workers are offline, so all that waits is due; tables go after it.
  while (rcu_.reclaim() > 0) continue;
}

void Dataplane::housekeep() {
  connections_.reap(ticks_at(tsc(), tsc_hz()));
  uplinks_.poll(NeighborTable::Clock::now());
  rcu_.reclaim();
}

// A node without services spends no memory on connections.
Status RoutedFrontends::frontend_address_added(const IpAddress& address) {
  connections_.prepare();
  return routes_.service_added(address);
}

Status Dataplane::set_service_settings(const api::ServiceSettings& settings) {
  if (Status status = services_.set_settings(settings); !status) return status;
  connections_.set_quota(settings.connections_per_port);
  return {};
}

// Workers masquerade from the moment on that the set is published.
Status Dataplane::set_prefix(const api::PrefixMember& record) {
  if (record.set == api::kKeptSet && (record.flags & api::kListEmpty) == 0) connections_.prepare();
  return services_.set_prefix(record);
}

std::vector<api::ConnectionState> Dataplane::list_connections(const api::ConnectionQuery& query) const {
  std::vector<api::ConnectionState> all;
  connections_.query(query, ticks_at(tsc(), tsc_hz()), [&](api::ConnectionState state, uint16_t owner) {
    state.port_key = owner != kNoOwner ? ports_.key_of(owner) : 0;
    all.push_back(state);
  });
  return all;
}

Result<std::unique_ptr<Port>> Dataplane::make_port(const api::PortConfig& config, api::Fd tap,
                                                   Worker& worker) {
  if (config.kind == api::PortKind::vhost_user) {
    auto port = vhost_->make_port(config, [&worker] { worker.wake(); });
    if (!port) return port.error();
    return std::unique_ptr<Port>(*std::move(port));
  }
  if (config.kind == api::PortKind::host) return HostPort::make(std::move(tap), ports_.slots());
  if (config.kind != api::PortKind::memif) return TapPort::make(std::move(tap));
  auto port = memif_->make_port(config, [&worker] { worker.wake(); });
  if (!port) return port.error();
  return std::unique_ptr<Port>(*std::move(port));
}

std::vector<Worker*> Dataplane::workers() const {
  std::vector<Worker*> workers;
  for (const auto& worker : workers_) workers.push_back(worker.get());
  return workers;
}

void Dataplane::stop_workers() noexcept {
  for (const auto& worker : workers_) worker->stop();
}

void Dataplane::replay_begin(uint64_t generation) noexcept {
  generation_ = generation;
  routes_.begin_generation(generation);
  services_.begin_generation(generation);
}

Result<api::Replay> Dataplane::replay_end(uint64_t generation) {
  if (generation == 0 || generation != generation_) {
    return {ErrorCode::invalid_argument, "this replay was not begun, or another began since; replay again"};
  }
  api::Replay result{.generation = generation};
  result.ports_swept = ports_.sweep(generation);
  result.routes_swept = static_cast<uint32_t>(routes_.sweep(generation));
  const ServiceTable::Swept swept = services_.sweep(generation);
  result.frontends_swept = static_cast<uint32_t>(swept.frontends);
  result.lists_swept = static_cast<uint32_t>(swept.lists);
  replayed_ = generation;
  return result;
}

api::DataplaneStatus Dataplane::status() const {
  api::DataplaneStatus status;
  status.instance = instance_;
  status.generation = replayed_;
  const std::chrono::nanoseconds uptime = EventLoop::Clock::now() - started_;
  status.uptime_ns = static_cast<uint64_t>(uptime.count());
  status.pid = static_cast<uint32_t>(getpid());
  status.workers = static_cast<uint32_t>(workers_.size());
  status.ports = static_cast<uint32_t>(ports_.size());
  status.routes = static_cast<uint32_t>(routes_.size());
  status.tsc_hz = tsc_hz();
  status.table_bytes = fib4_.memory_bytes() + fib6_.memory_bytes() + connections_.memory_bytes() + backends_.memory_bytes();
  status.pending_reclaim = rcu_.pending();
  status.hugepages = !workers_.empty() && workers_.front()->hugepages() ? 1 : 0;
  return status;
}

void Dataplane::trace(const api::TraceFilter& filter) {
  for (const auto& worker : workers_) worker->trace(filter);
}

std::vector<api::TraceRecord> Dataplane::read_trace() {
  std::vector<api::TraceRecord> records;
  for (const auto& worker : workers_) worker->read_trace(records);
  return records;
}

}  // namespace weir::dataplane
