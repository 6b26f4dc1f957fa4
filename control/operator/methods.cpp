#include "control/operator/methods.h"

#include <unistd.h>

#include <algorithm>
#include <set>

#include "control/cni/cni_error.h"
#include "control/ipam/host_local_dir.h"

namespace weir::control {

namespace {

const char* to_text(api::PortKind kind) {
  switch (kind) {
    case api::PortKind::kernel: return "kernel";
    case api::PortKind::memif: return "memif";
    case api::PortKind::vhost_user: return "vhost-user";
    case api::PortKind::host: return "host";
    case api::PortKind::uplink: return "uplink";
    case api::PortKind::none: break;
  }
  return "none";
}

const char* to_text(AttachmentState state) {
  switch (state) {
    case AttachmentState::adding: return "adding";
    case AttachmentState::ready: return "ready";
    case AttachmentState::deleting: break;
  }
  return "deleting";
}

std::string pod_text(const std::string& pod_namespace, const std::string& pod_name) {
  return pod_name.empty() ? "" : pod_namespace + "/" + pod_name;
}

cni::Json pod_json(const Attachment& row, const std::vector<Lease>& leases) {
  cni::Json addresses = cni::Json::array();
  for (const Lease& lease : leases) addresses.push_back(to_string(lease.address));
  return {{"name", pod_text(row.pod_namespace, row.pod_name)},
          {"network", row.network},
          {"container_id", row.container_id},
          {"ifname", row.ifname},
          {"netns", row.netns},
          {"kind", to_text(row.kind)},
          {"mac", to_string(row.mac)},
          {"mtu", row.mtu},
          {"addresses", std::move(addresses)},
          {"port_key", row.id},
          {"state", to_text(row.state)},
          {"created_ms", row.created}};
}

cni::Json holding_json(const Ipam::Holding& holding, std::chrono::milliseconds rest) {
  const Lease& lease = holding.lease;
  const bool resting = lease.attachment == 0;
  return {{"address", to_string(lease.address)},
          {"network", lease.network},
          {"container_id", holding.container_id},
          {"ifname", holding.ifname},
          {"pod", pod_text(holding.pod_namespace, holding.pod_name)},
          {"state", resting ? "resting" : "leased"},
          {"since_ms", resting ? lease.released_at : lease.reserved_at},
          {"until_ms", resting ? lease.released_at + rest.count() : 0}};
}

// Addresses that host-local gave out of networks that weir shares with it.
void append_adopted(const Controller& controller, cni::Json& leases) {
  std::set<std::string> own;
  for (const cni::Json& lease : leases) {
    if (lease["state"] == "leased") own.insert(lease["address"].get<std::string>());
  }
  for (const auto& [network, directory] : controller.shared) {
    const auto entries = HostLocalDir::list(directory);
    if (!entries) continue;  // an ADD says why
    for (const HostLocalDir::Entry& entry : *entries) {
      if (own.contains(to_string(entry.address))) continue;
      leases.push_back({{"address", to_string(entry.address)},
                        {"network", network},
                        {"container_id", entry.container_id},
                        {"ifname", entry.ifname},
                        {"pod", ""},
                        {"state", "adopted"},
                        {"since_ms", entry.since},
                        {"until_ms", 0}});
    }
  }
}

Result<cni::Json> pools_json(Controller& controller) {
  cni::Json pools = cni::Json::array();
  for (const RangeSet& set : default_ranges(controller.config.network.pod_cidrs)) {
    const Result<Ipam::Usage> usage = controller.ipam.usage(set);
    if (!usage) return usage.error();
    pools.push_back({{"ranges", to_string(set)},
                     {"size", usage->size},
                     {"used", usage->taken},
                     {"resting", usage->resting},
                     {"free", usage->size - usage->taken}});
  }
  return pools;
}

cni::Json kernel_routes_json(const KernelRoutes& routes) {
  cni::Json ignored = cni::Json::object();
  const auto counts = routes.ignored();
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) continue;
    ignored[std::string(KernelRoutes::to_string(static_cast<KernelRoutes::Ignored>(i)))] = counts[i];
  }
  return {{"followed", routes.enabled()},
          {"routes", routes.size()},
          {"ignored", std::move(ignored)},
          {"refused_changes", routes.refused()}};
}

}  // namespace

cni::Outcome<cni::Json> list_pods(Controller& controller) {
  const auto rows = controller.store.attachments();
  if (!rows) return cni_error(rows.error());
  cni::Json pods = cni::Json::array();
  for (const Attachment& row : *rows) {
    if (row.container_id == kHostContainerId) continue;
    const auto leases = controller.store.leases_of(row.id);
    if (!leases) return cni_error(leases.error());
    pods.push_back(pod_json(row, *leases));
  }
  return pods;
}

cni::Outcome<cni::Json> show_ipam(Controller& controller) {
  const auto pools = pools_json(controller);
  if (!pools) return cni_error(pools.error());
  const auto holdings = controller.ipam.list();
  if (!holdings) return cni_error(holdings.error());
  cni::Json leases = cni::Json::array();
  for (const Ipam::Holding& holding : *holdings) {
    leases.push_back(holding_json(holding, controller.ipam.rest()));
  }
  append_adopted(controller, leases);
  return cni::Json{{"pools", *pools}, {"leases", std::move(leases)}};
}

cni::Outcome<cni::Json> show_status(Controller& controller) {
  const auto pools = pools_json(controller);
  if (!pools) return cni_error(pools.error());
  const auto rows = controller.store.attachments();
  if (!rows) return cni_error(rows.error());
  const SessionView dataplane = controller.dataplane.view();
  const auto uptime = std::chrono::steady_clock::now() - controller.started;
  const auto pods = std::ranges::count_if(
      *rows, [](const Attachment& row) { return row.container_id != kHostContainerId; });
  return cni::Json{{"version", WEIR_VERSION},
                   {"pid", getpid()},
                   {"uptime_s", std::chrono::duration_cast<std::chrono::seconds>(uptime).count()},
                   {"network", controller.config.network.name},
                   {"attachments", pods},
                   {"dataplane",
                    {{"connected", dataplane.ready},
                     {"reason", dataplane.reason},
                     {"pid", dataplane.pid},
                     {"instance", dataplane.instance},
                     {"generation", dataplane.generation}}},
                   {"kernel_routes", kernel_routes_json(controller.kernel_routes)},
                   {"pools", *pools}};
}

namespace {

cni::Error unknown_method(const std::string& method) {
  return {cni::Code::invalid_environment, "there is no method '" + method + "'",
          "install the same release of all programs"};
}

}  // namespace

Task<cni::Outcome<cni::Json>> run_operator_method(Controller& controller, std::string method,
                                                  cni::Json params) {
  if (method == "pod.list") co_return list_pods(controller);
  if (method == "ipam.show") co_return show_ipam(controller);
  if (method == "status") co_return show_status(controller);
  if (method == "route.list") co_return list_routes(controller);
  if (method == "route.add") co_return co_await add_route(controller, std::move(params));
  if (method == "route.del") co_return co_await delete_route(controller, std::move(params));
  if (method == "service.apply") co_return co_await apply_services(controller, std::move(params));
  if (method == "service.delete") co_return co_await delete_service(controller, std::move(params));
  if (method == "service.list") co_return list_services(controller);
  if (method == "service.show") co_return show_service(controller, params);
  if (method == "service.explain") co_return explain_service(controller, params);
  co_return unknown_method(method);
}

}  // namespace weir::control
