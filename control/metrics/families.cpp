#include "control/metrics/families.h"

#include "dataplane/api/codec.h"

namespace weir::control {

namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

class FamilyBuilder {
 public:
  FamilyBuilder(std::string name, std::string help, MetricType type)
      : family_{std::move(name), std::move(help), type, {}} {}

  void add(uint64_t value, Labels labels = {}) {
    ClientMetric metric;
    metric.label = std::move(labels);
    (family_.type == MetricType::Counter ? metric.counter.value : metric.gauge.value) =
        static_cast<double>(value);
    family_.metric.push_back(std::move(metric));
  }
  MetricFamily take() { return std::move(family_); }

 private:
  MetricFamily family_;
};

Labels port_labels(const api::PortState& port) {
  return {{"port", std::to_string(port.config.key)},
          {"name", api::get_text(port.config.name)},
          {"ifname", api::get_text(port.config.ifname)}};
}

struct PortMetric {
  const char* name;
  const char* help;
  uint64_t api::PortCounters::*value;
};
constexpr PortMetric kPortMetrics[] = {
    {"weir_port_receive_packets_total", "Packets from the port", &api::PortCounters::rx_packets},
    {"weir_port_receive_bytes_total", "Frame bytes from the port", &api::PortCounters::rx_bytes},
    {"weir_port_transmit_packets_total", "Packets to the port", &api::PortCounters::tx_packets},
    {"weir_port_transmit_bytes_total", "Frame bytes to the port", &api::PortCounters::tx_bytes},
    {"weir_port_drops_total", "Packets from the port that were dropped", &api::PortCounters::drops},
};

void add_ports(const std::vector<api::PortState>& ports, Families& out) {
  for (const PortMetric& metric : kPortMetrics) {
    FamilyBuilder family(metric.name, metric.help, MetricType::Counter);
    for (const api::PortState& port : ports) {
      family.add(port.counters.*metric.value, port_labels(port));
    }
    out.push_back(family.take());
  }
  FamilyBuilder link("weir_port_up", "1: the port's link is up", MetricType::Gauge);
  for (const api::PortState& port : ports) {
    link.add(port.link == api::LinkState::up ? 1 : 0, port_labels(port));
  }
  out.push_back(link.take());
}

struct WorkerMetric {
  const char* name;
  const char* help;
  uint64_t api::WorkerState::*value;
};
constexpr WorkerMetric kWorkerMetrics[] = {
    {"weir_worker_packets_total", "Packets the worker handled", &api::WorkerState::packets},
    {"weir_worker_vectors_total", "Vectors the worker handled", &api::WorkerState::vectors},
    {"weir_worker_busy_cycles_total", "TSC cycles in sweeps with packets",
     &api::WorkerState::busy_cycles},
    {"weir_worker_sleeps_total", "Times the worker slept", &api::WorkerState::sleeps},
    {"weir_worker_handoffs_total", "Packets passed to another worker", &api::WorkerState::handoffs},
};

void add_workers(const std::vector<api::WorkerState>& workers, Families& out) {
  for (const WorkerMetric& metric : kWorkerMetrics) {
    FamilyBuilder family(metric.name, metric.help, MetricType::Counter);
    for (const api::WorkerState& worker : workers) {
      family.add(worker.*metric.value,
                 {{"worker", std::to_string(worker.index)}, {"core", std::to_string(worker.core)}});
    }
    out.push_back(family.take());
  }
}

void add_drops(const std::vector<api::DropCounter>& drops, Families& out) {
  FamilyBuilder family("weir_drops_total", "Packets dropped, by reason", MetricType::Counter);
  for (const api::DropCounter& drop : drops) {
    family.add(drop.packets, {{"reason", api::get_text(drop.name)}});
  }
  out.push_back(family.take());
}

void add_gauge(const char* name, const char* help, uint64_t value, Families& out) {
  FamilyBuilder family(name, help, MetricType::Gauge);
  family.add(value);
  out.push_back(family.take());
}

void add_counter(const char* name, const char* help, uint64_t value, Families& out) {
  FamilyBuilder family(name, help, MetricType::Counter);
  family.add(value);
  out.push_back(family.take());
}

void add_connections(const api::ConnectionStats& stats, Families& out) {
  add_gauge("weir_connections", "Connections to services, affinities included", stats.in_use, out);
  add_gauge("weir_connections_limit", "Connections that fit into the table", stats.capacity, out);
  add_counter("weir_connections_created_total", "Connections to services that were made", stats.created, out);
  add_counter("weir_connections_expired_total", "Connections that timed out", stats.expired, out);
  add_counter("weir_connections_repicked_total", "Connections that moved away from a removed backend",
              stats.repicked, out);
}

void add_dataplane(const DataplaneNumbers& numbers, Families& out) {
  const api::DataplaneStatus& status = numbers.status;
  add_gauge("weir_dataplane_ports", "Ports of the dataplane", status.ports, out);
  add_gauge("weir_dataplane_routes", "Routes of the dataplane", status.routes, out);
  add_gauge("weir_dataplane_table_bytes", "Memory of tables", status.table_bytes, out);
  add_gauge("weir_dataplane_pending_reclaim", "Objects that wait for a grace period",
            status.pending_reclaim, out);
  add_gauge("weir_dataplane_generation", "Last completed replay", status.generation, out);
  add_ports(numbers.ports, out);
  add_workers(numbers.workers, out);
  add_drops(numbers.drops, out);
  add_connections(numbers.connections, out);
}

void add_control(const ControlNumbers& numbers, Families& out) {
  add_gauge("weir_attachments", "Pod interfaces in the store", numbers.attachments, out);
  FamilyBuilder size("weir_ipam_addresses", "Addresses that a pool can hand out",
                     MetricType::Gauge);
  FamilyBuilder taken("weir_ipam_leases", "Addresses of a pool that are taken", MetricType::Gauge);
  for (const ControlNumbers::Pool& pool : numbers.pools) {
    size.add(pool.size, {{"pool", pool.ranges}});
    taken.add(pool.taken, {{"pool", pool.ranges}});
  }
  out.push_back(size.take());
  out.push_back(taken.take());
}

}  // namespace

Families make_families(const std::optional<DataplaneNumbers>& dataplane,
                       const std::optional<ControlNumbers>& control) {
  Families out;
  add_gauge("weir_dataplane_up", "1: weir-control is connected to a dataplane that answers",
            dataplane ? 1 : 0, out);
  if (dataplane) add_dataplane(*dataplane, out);
  if (control) add_control(*control, out);
  return out;
}

}  // namespace weir::control
