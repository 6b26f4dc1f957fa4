#include "dataplane/runtime/port_registry.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "dataplane/core/tsc.h"

namespace weir::dataplane {

namespace {

bool needs_tap(api::PortKind kind) { return kind == api::PortKind::kernel || kind == api::PortKind::host; }

// What a port was built with and cannot take on later.
bool same_build(const api::PortConfig& a, const api::PortConfig& b) {
  return a.kind == b.kind && a.socket_path == b.socket_path && a.memif_log2_ring == b.memif_log2_ring &&
         a.memif_queues == b.memif_queues && a.memif_buffer == b.memif_buffer && a.memif_role == b.memif_role && a.memif_mode == b.memif_mode &&
         a.mac == b.mac &&
         a.socket_mode == b.socket_mode && a.socket_uid == b.socket_uid && a.socket_gid == b.socket_gid &&
         a.secret == b.secret && a.vhost_role == b.vhost_role && a.vhost_queues == b.vhost_queues &&
         (a.flags & api::kPortUnsealed) == (b.flags & api::kPortUnsealed);
}

std::span<const IpAddress> lease_of(const api::PortConfig& config) {
  return {config.addresses.data(), config.address_count};
}

bool has_ip6(const api::PortConfig& config) {
  return std::ranges::any_of(lease_of(config), [](const IpAddress& a) { return a.is_ip6(); });
}

}  // namespace

PortRegistry::PortRegistry(Rcu& rcu, RouteTable& routes, PortFactory factory,
                           std::function<void(uint16_t)> gone)
    : rcu_(rcu),
      routes_(routes),
      factory_(std::move(factory)),
      gone_(std::move(gone)),
      slots_(new PortSlot[kMaxPorts]),
      free_(std::make_shared<std::vector<uint16_t>>()) {}

PortRegistry::~PortRegistry() { clear(); }

uint64_t PortRegistry::key_of(uint16_t index) const noexcept {
  const PortInfo* info = slots_[index].info.load(std::memory_order_relaxed);  // written by this thread
  return info != nullptr ? info->key : 0;
}

Result<api::PortState> PortRegistry::find(uint64_t key) const {
  const auto found = ports_.find(key);
  if (found == ports_.end()) return {ErrorCode::not_found, "there is no port " + std::to_string(key)};
  return state(*found->second);
}

void PortRegistry::clear() {
  while (!ports_.empty()) remove(ports_.begin()->first);
}

Status PortRegistry::check(const api::PortConfig& config) const {
  if (config.key == 0) return {ErrorCode::invalid_argument, "a port's key must not be 0"};
  if (config.kind != api::PortKind::kernel && config.kind != api::PortKind::memif &&
      config.kind != api::PortKind::vhost_user && config.kind != api::PortKind::host) {
    return {ErrorCode::unsupported, "port_set makes kernel, host, memif and vhost-user ports; uplinks are made with uplink_set"};
  }
  if (config.mac.is_zero() || config.mac.is_multicast()) {
    return {ErrorCode::invalid_argument, "a port needs a unicast MAC address"};
  }
  if (config.address_count > config.addresses.size()) {
    return {ErrorCode::limit, "a port's lease holds " + std::to_string(config.addresses.size()) + " addresses at most"};
  }
  const uint16_t least = has_ip6(config) ? 1280 : 68;
  if (config.mtu < least) {
    return {ErrorCode::invalid_argument, "a port's MTU must be " + std::to_string(least) + " at least (RFC 791, RFC 8200)"};
  }
  const bool on_socket = config.kind == api::PortKind::memif || config.kind == api::PortKind::vhost_user;
  if (on_socket && config.socket_path[0] != '/') {
    return {ErrorCode::invalid_argument, "a memif or vhost-user port needs an absolute socket path"};
  }
  return check_lease(config);
}

Status PortRegistry::check_lease(const api::PortConfig& config) const {
  for (const IpAddress& address : lease_of(config)) {
    if (!address.is_ip4() && !address.is_ip6()) {
      return {ErrorCode::invalid_argument, "an address in the port's lease is neither IPv4 nor IPv6"};
    }
    const auto holder = leases_.find(address);
    if (holder != leases_.end() && holder->second != config.key) {
      return {ErrorCode::exists, to_string(address) + " is leased to port " + std::to_string(holder->second)};
    }
  }
  return {};
}

Result<api::PortState> PortRegistry::set(const api::PortConfig& config, api::Fd tap, uint64_t generation) {
  if (const Status status = check(config); !status) return status.error();
  const auto found = ports_.find(config.key);
  if (found == ports_.end()) {
    Worker& worker = least_loaded();
    auto io = build(config, std::move(tap), worker);
    if (!io) return io.error();
    return create(config, *std::move(io), worker, generation);
  }
  Entry& entry = *found->second;
  if (same_build(entry.config, config) && !tap) {
    if (const Status status = change(entry, config, generation); !status) return status.error();
    return state(entry);
  }
  // A new tap is taken before the old one goes; a socket path can only be held once.
  if (needs_tap(config.kind)) {
    auto io = build(config, std::move(tap), *entry.worker);
    if (!io) return io.error();
    Worker& worker = *entry.worker;
    remove(config.key);
    return create(config, *std::move(io), worker, generation);
  }
  remove(config.key);
  Worker& worker = least_loaded();
  auto io = build(config, {}, worker);
  if (!io) return io.error();
  return create(config, *std::move(io), worker, generation);
}

Result<api::PortState> PortRegistry::place(const api::PortConfig& config, std::unique_ptr<Port> io,
                                           uint64_t generation) {
  if (const Status status = check_lease(config); !status) return status.error();
  if (io != nullptr) return create(config, std::move(io), least_loaded(), generation);
  Entry& entry = *ports_.at(config.key);
  if (const Status status = change(entry, config, generation); !status) return status.error();
  return state(entry);
}

Result<std::unique_ptr<Port>> PortRegistry::build(const api::PortConfig& config, api::Fd tap, Worker& worker) {
  if (needs_tap(config.kind) && !tap) {
    return {ErrorCode::not_found, "port " + std::to_string(config.key) + " needs its tap device: send its descriptor"};
  }
  return factory_(config, std::move(tap), worker);
}

Result<api::PortState> PortRegistry::create(const api::PortConfig& config, std::unique_ptr<Port> io,
                                            Worker& worker, uint64_t generation) {
  auto entry = std::make_unique<Entry>();
  entry->config = config;
  entry->generation = generation;
  entry->worker = &worker;
  entry->io = std::move(io);
  const Result<uint16_t> index = take_index();
  if (!index) return index.error();
  entry->index = *index;
  entry->base = totals(entry->index);
  entry->drop_base = drop_totals(entry->index);
  if (const Status status = publish(*entry); !status) {
    withdraw(std::move(entry));
    return status.error();
  }
  for (const IpAddress& address : lease_of(config)) leases_[address] = config.key;
  const api::PortState result = state(*entry);
  ports_[config.key] = std::move(entry);
  return result;
}

Status PortRegistry::change(Entry& entry, const api::PortConfig& config, uint64_t generation) {
  entry.generation = generation;
  const api::PortConfig old = std::exchange(entry.config, config);
  if (const Status status = routes_.port_set(entry.index, config); !status) {
    entry.config = old;
    return status;
  }
  for (const IpAddress& address : lease_of(old)) leases_.erase(address);
  for (const IpAddress& address : lease_of(config)) leases_[address] = config.key;
  publish_info(entry);
  return {};
}

Status PortRegistry::limit(const api::PortLimits& limits) {
  const auto found = ports_.find(limits.key);
  if (found == ports_.end()) {
    return {ErrorCode::not_found, "there is no port " + std::to_string(limits.key)};
  }
  Entry& entry = *found->second;
  // A replay sets the same again; a fresh bucket each time would be a burst each time.
  if (std::memcmp(&entry.limits, &limits, sizeof limits) == 0) return {};
  entry.limits = limits;
  auto policers = limits.any() ? std::make_unique<PortPolicers>(limits, tsc_hz()) : nullptr;
  std::swap(entry.policers, policers);
  publish_info(entry);
  rcu_.retire_delete(policers.release());
  return {};
}

Result<uint16_t> PortRegistry::take_index() {
  if (!free_->empty()) {
    const uint16_t index = free_->back();
    free_->pop_back();
    return index;
  }
  if (counters_.size() >= kUsablePorts) {
    return {ErrorCode::limit, "all " + std::to_string(kUsablePorts) + " port numbers are in use"};
  }
  counters_.emplace_back(new PortCounterBlock[blocks()]);
  return static_cast<uint16_t>(counters_.size() - 1);
}

Worker& PortRegistry::least_loaded() const {
  std::map<Worker*, size_t> load;
  for (const auto& [key, entry] : ports_) ++load[entry->worker];
  return **std::ranges::min_element(workers_, {}, [&load](Worker* worker) { return load[worker]; });
}

Status PortRegistry::publish(Entry& entry) {
  PortSlot& slot = slots_[entry.index];
  slot.counters.store(counters_[entry.index].get(), std::memory_order_release);  // zeroed before
  publish_info(entry);
  slot.worker.store(entry.worker->place().index, std::memory_order_relaxed);  // io publishes it
  slot.io.store(entry.io.get(), std::memory_order_release);  // the port is complete
  for (Worker* worker : rx_workers(entry)) {
    if (const Status status = worker->attach(entry.index, *entry.io); !status) return status;
  }
  return routes_.port_set(entry.index, entry.config);
}

std::span<Worker* const> PortRegistry::rx_workers(const Entry& entry) const {
  const size_t count = std::min<size_t>(entry.io->rx_workers(), workers_.size());
  if (count > 1) return std::span(workers_).first(count);
  return std::span<Worker* const>(&entry.worker, 1);
}

void PortRegistry::count_drop(uint16_t index, Drop reason) noexcept {
  counters_[index][workers_.size()].drop(reason);
}

void PortRegistry::publish_info(Entry& entry) {
  PortInfo made = make_port_info(entry.config);
  set_policers(made, entry.policers.get());
  auto info = std::make_unique<const PortInfo>(made);
  slots_[entry.index].info.store(info.get(), std::memory_order_release);  // it is complete
  rcu_.retire_delete(entry.info.release());
  entry.info = std::move(info);
}

void PortRegistry::withdraw(std::unique_ptr<Entry> entry) {
  routes_.port_removed(entry->config.key);
  for (Worker* worker : rx_workers(*entry)) worker->detach(entry->index, *entry->io);
  PortSlot& slot = slots_[entry->index];
  slot.io.store(nullptr, std::memory_order_release);
  slot.info.store(nullptr, std::memory_order_release);
  for (Worker* worker : rx_workers(*entry)) worker->wake();
  entry->io->close();
  const std::shared_ptr<Entry> last = std::move(entry);
  rcu_.retire([last, free = free_, gone = gone_] {
    gone(last->index);
    free->push_back(last->index);
  });
}

void PortRegistry::remove(uint64_t key) {
  const auto found = ports_.find(key);
  if (found == ports_.end()) return;
  std::unique_ptr<Entry> entry = std::move(found->second);
  ports_.erase(found);
  for (const IpAddress& address : lease_of(entry->config)) leases_.erase(address);
  withdraw(std::move(entry));
}

uint32_t PortRegistry::sweep(uint64_t generation) {
  std::vector<uint64_t> stale;
  for (const auto& [key, entry] : ports_) {
    if (entry->generation != generation) stale.push_back(key);
  }
  for (const uint64_t key : stale) remove(key);
  return static_cast<uint32_t>(stale.size());
}

std::vector<api::PortState> PortRegistry::list() const {
  std::vector<api::PortState> states;
  for (const auto& [key, entry] : ports_) states.push_back(state(*entry));
  return states;
}

api::PortState PortRegistry::state(const Entry& entry) const {
  api::PortState state;
  state.config = entry.config;
  state.config.secret = {};
  state.limits = entry.limits;
  state.index = entry.index;
  state.worker = entry.worker->place().index;
  entry.io->state(state);
  const api::PortCounters now = totals(entry.index);
  state.counters = {now.rx_packets - entry.base.rx_packets, now.rx_bytes - entry.base.rx_bytes,
                    now.tx_packets - entry.base.tx_packets, now.tx_bytes - entry.base.tx_bytes,
                    now.drops - entry.base.drops};
  return state;
}

api::PortCounters PortRegistry::totals(uint16_t index) const {
  api::PortCounters sum;
  for (size_t worker = 0; worker < workers_.size(); ++worker) {
    const PortCounterBlock& block = counters_[index][worker];
    sum.rx_packets += block.rx_packets.get();
    sum.rx_bytes += block.rx_bytes.get();
    sum.tx_packets += block.tx_packets.get();
    sum.tx_bytes += block.tx_bytes.get();
  }
  for (const uint64_t packets : drop_totals(index)) sum.drops += packets;
  return sum;
}

std::array<uint64_t, kDropCount> PortRegistry::drop_totals(uint16_t index) const {
  std::array<uint64_t, kDropCount> sum{};
  for (size_t block = 0; block < blocks(); ++block) {
    for (size_t i = 0; i < kDropCount; ++i) sum[i] += counters_[index][block].drops[i].get();
  }
  return sum;
}

Result<std::array<uint64_t, kDropCount>> PortRegistry::drops(uint64_t key) const {
  std::array<uint64_t, kDropCount> sum{};
  if (key != 0) {
    const auto found = ports_.find(key);
    if (found == ports_.end()) return {ErrorCode::not_found, "there is no port " + std::to_string(key)};
    sum = drop_totals(found->second->index);
    for (size_t i = 0; i < kDropCount; ++i) sum[i] -= found->second->drop_base[i];
    return sum;
  }
  for (size_t index = 0; index < counters_.size(); ++index) {
    const auto part = drop_totals(static_cast<uint16_t>(index));
    for (size_t i = 0; i < kDropCount; ++i) sum[i] += part[i];
  }
  return sum;
}

void PortRegistry::for_each(const std::function<void(Port&)>& call) {
  for (const auto& [key, entry] : ports_) call(*entry->io);
}

}  // namespace weir::dataplane
