// The node's ports: validates what control asks for, builds ports, publishes them to
// the workers and takes them back.
//
// Thread safety: main thread only.
// Invariants: a port is published as counters, info, worker, io, route - in this order -
// and taken back in reverse; it is destroyed and its number reused a grace period later.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "dataplane/api/codec.h"
#include "dataplane/core/rcu.h"
#include "dataplane/runtime/worker.h"
#include "dataplane/tables/route_table.h"

namespace weir::dataplane {

// Builds what moves a port's frames. `worker` will own the port.
using PortFactory =
    std::function<Result<std::unique_ptr<Port>>(const api::PortConfig&, api::Fd tap, Worker& worker)>;

class PortRegistry {
 public:
  // `gone`: called with a port's number before another port may get it.
  PortRegistry(Rcu& rcu, RouteTable& routes, PortFactory factory,
               std::function<void(uint16_t)> gone = [](uint16_t) {});
  ~PortRegistry();
  PortRegistry(const PortRegistry&) = delete;
  PortRegistry& operator=(const PortRegistry&) = delete;

  // Once, before the first port.
  void use(std::span<Worker* const> workers) { workers_.assign(workers.begin(), workers.end()); }
  PortSlot* slots() noexcept { return slots_.get(); }
  const PortSlot* slots() const noexcept { return slots_.get(); }
  uint64_t key_of(uint16_t index) const noexcept;  // 0: no port has the number
  Result<api::PortState> find(uint64_t key) const;  // not_found

  // Creates or changes a port; what cannot change in place (kind, socket, memif
  // parameters, a new tap) is replaced. On error a port stays as it was, except that a
  // memif port whose parameters changed and whose socket cannot be made again is gone.
  Result<api::PortState> set(const api::PortConfig& config, api::Fd tap, uint64_t generation);
  // The same for a port that its caller built, or nullptr when only the configuration changes:
  // the port is there then.
  Result<api::PortState> place(const api::PortConfig& config, std::unique_ptr<Port> io, uint64_t generation);
  // Limits a port that is there, anew: its buckets start full. not_found.
  Status limit(const api::PortLimits& limits);
  // Unknown keys are ignored.
  void remove(uint64_t key);
  void clear();
  // Removes every port whose last set() was not in `generation`.
  uint32_t sweep(uint64_t generation);

  std::vector<api::PortState> list() const;
  size_t size() const noexcept { return ports_.size(); }
  // Drops by reason: of one port, or of the node since its start.
  Result<std::array<uint64_t, kDropCount>> drops(uint64_t key) const;
  // The main thread dropped a packet that came in through the port.
  void count_drop(uint16_t index, Drop reason) noexcept;
  // Calls every port's housekeeping.
  void for_each(const std::function<void(Port&)>& call);

 private:
  // Counter blocks of a port: one a worker, and the main thread's.
  size_t blocks() const noexcept { return workers_.size() + 1; }
  struct Entry {
    api::PortConfig config;
    uint16_t index = 0;
    uint64_t generation = 0;
    Worker* worker = nullptr;
    std::unique_ptr<Port> io;
    std::unique_ptr<PortPolicers> policers;
    std::unique_ptr<const PortInfo> info;
    api::PortLimits limits;
    api::PortCounters base;                       // of the number's former ports
    std::array<uint64_t, kDropCount> drop_base{};
  };

  Status check(const api::PortConfig& config) const;
  Status check_lease(const api::PortConfig& config) const;
  Result<std::unique_ptr<Port>> build(const api::PortConfig& config, api::Fd tap, Worker& worker);
  Result<api::PortState> create(const api::PortConfig& config, std::unique_ptr<Port> io, Worker& worker,
                                uint64_t generation);
  Status change(Entry& entry, const api::PortConfig& config, uint64_t generation);
  Result<uint16_t> take_index();
  Worker& least_loaded() const;
  Status publish(Entry& entry);
  void withdraw(std::unique_ptr<Entry> entry);
  void publish_info(Entry& entry);
  std::span<Worker* const> rx_workers(const Entry& entry) const;
  api::PortState state(const Entry& entry) const;
  api::PortCounters totals(uint16_t index) const;
  std::array<uint64_t, kDropCount> drop_totals(uint16_t index) const;

  Rcu& rcu_;
  RouteTable& routes_;
  PortFactory factory_;
  std::function<void(uint16_t)> gone_;
  std::vector<Worker*> workers_;
  std::unique_ptr<PortSlot[]> slots_;
  // One block of counters a number and worker; made with the number's first port, kept
  // for good, so that node totals never go back and late writers always find theirs.
  std::vector<std::unique_ptr<PortCounterBlock[]>> counters_;
  std::shared_ptr<std::vector<uint16_t>> free_;  // outlives this object in pending retirements
  std::map<uint64_t, std::unique_ptr<Entry>> ports_;
  std::map<IpAddress, uint64_t> leases_;  // address -> key
};

}  // namespace weir::dataplane
