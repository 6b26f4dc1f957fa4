// The node's uplinks and their neighbours: opens devices, watches links, answers what workers
// pass to the main thread, and tells the route table where neighbours are.
//
// Threads: main thread only. Workers meet it in two queues each (Worker::read_punted, inject).
#pragma once

#include <map>
#include <memory>
#include <span>
#include <vector>

#include "dataplane/core/rcu.h"
#include "dataplane/neighbor/table.h"
#include "dataplane/ports/uplink/port.h"
#include "dataplane/runtime/port_registry.h"
#include "dataplane/tables/route_table.h"

namespace weir::dataplane {

class Uplinks final : private NeighborEvents {
 public:
  // All outlive this object, which has to be cleared before the ports are.
  Uplinks(Rcu& rcu, RouteTable& routes, PortRegistry& ports) : rcu_(rcu), routes_(routes), ports_(ports) {}

  void use(std::span<Worker* const> workers) { workers_.assign(workers.begin(), workers.end()); }
  // Opens an uplink or changes its addresses. Another device, MTU or number of queues closes
  // it first, as a device can be open once; on an error it is gone then.
  Result<api::PortState> set(const api::UplinkConfig& config, uint64_t generation);
  // Call it often: what workers passed on, timers, links.
  void poll(NeighborTable::Time now);
  std::vector<api::NeighborState> neighbors() const { return table_.list(NeighborTable::Clock::now()); }

 private:
  struct Uplink {
    api::UplinkConfig config;
    uplink::UplinkPort* port = nullptr;  // the registry's
    uint16_t index = 0;
    Worker* owner = nullptr;
  };

  Result<api::PortState> open(const api::UplinkConfig& config, uint64_t generation);
  Result<api::PortState> change(Uplink& uplink, const api::UplinkConfig& config, uint64_t generation);
  Status connect(const api::UplinkConfig& config);
  void close(uint64_t key);
  void read(const Packet& packet, uint64_t word, NeighborTable::Time now);
  void hold(const Packet& packet, uint64_t word, NeighborTable::Time now);
  void sync_gateways(NeighborTable::Time now);
  void watch_links(NeighborTable::Time now);

  void ask(uint64_t port, const IpAddress& address, const MacAddress* known) override;
  void changed(uint64_t port, const IpAddress& address, api::NeighborPhase phase, const MacAddress& mac) override;
  void forgotten(const IpAddress& address) override { routes_.neighbor_removed(address); }
  void resume(HeldPacket& packet) override;
  void drop(const Packet& packet, Drop reason) override { ports_.count_drop(packet.in_port, reason); }

  Rcu& rcu_;
  RouteTable& routes_;
  PortRegistry& ports_;
  std::vector<Worker*> workers_;
  std::map<uint64_t, Uplink> uplinks_;  // by key
  NeighborTable table_{*this};
  uint64_t gateways_seen_ = 0;
  NeighborTable::Time next_watch_{};
};

}  // namespace weir::dataplane
