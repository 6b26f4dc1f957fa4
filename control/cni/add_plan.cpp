#include "control/cni/add_plan.h"

#include <algorithm>

#include "control/cni/cni_error.h"
#include "control/cni/device_info.h"
#include "control/cni/pod_port.h"
#include "control/cni/shared_ipam.h"
#include "control/services/parse.h"

namespace weir::control {

namespace {

constexpr uint16_t kMinMtu4 = 68;    // RFC 791
constexpr uint16_t kMinMtu6 = 1280;  // RFC 8200

api::PortKind port_kind(const cni::NetworkConfig& config) {
  switch (config.port) {
    case cni::PortKind::memif: return api::PortKind::memif;
    case cni::PortKind::vhost_user: return api::PortKind::vhost_user;
    case cni::PortKind::kernel: break;
  }
  return api::PortKind::kernel;
}

bool has_ip6(const RangeSets& sets) {
  return std::ranges::any_of(
      sets, [](const RangeSet& set) { return set.front().subnet.address.is_ip6(); });
}

std::optional<cni::Error> set_link(const Controller& controller, AddPlan& plan) {
  const auto mac = cni::requested_mac(plan.config, plan.environment);
  if (!mac) return mac.error();
  plan.own_mac = mac->has_value();
  if (*mac) plan.row.mac = **mac;
  plan.row.mtu = plan.config.mtu.value_or(controller.config.network.mtu);
  return check_mtu(plan.row.mtu, has_ip6(plan.ranges));
}

std::optional<cni::Error> set_delegate(const cni::Request& request, AddPlan& plan) {
  plan.delegated = true;
  plan.delegate = delegate_call(cni::Command::add, plan.config, request);
  plan.row.environment = pack_environment(request.environment);
  return check_delegate(plan.delegate);
}

std::optional<cni::Error> set_addressing(const Controller& controller, AddPlan& plan) {
  auto ranges = ranges_of(controller, plan.config);
  if (!ranges) return ranges.error();
  auto requested = cni::requested_addresses(plan.config, plan.environment);
  if (!requested) return requested.error();
  auto routes = pod_routes(plan.config);
  if (!routes) return routes.error();
  plan.ranges = *std::move(ranges);
  auto shared = shared_directory(plan.config);
  if (!shared) return shared.error();
  plan.shared = *std::move(shared);
  plan.requested = *std::move(requested);
  plan.routes = *std::move(routes);
  return std::nullopt;
}

// A mapping that nobody carries out must not look as if it worked.
std::optional<cni::Error> check_mappings(const cni::NetworkConfig& config) {
  for (const cni::PortMapping& mapping : config.runtime.port_mappings) {
    const IpAddress any{.family = mapping.host_ip.family};
    if (mapping.host_port == 0 || mapping.host_ip == any || is_service_address(mapping.host_ip)) {
      continue;
    }
    return cni::Error{cni::Code::unsupported_field,
                      "host ports on " + to_string(mapping.host_ip) + " are not mapped",
                      "leave hostIP out or name an address that others reach; or chain the portmap "
                      "plugin after weir-cni and declare portMappings there"};
  }
  return std::nullopt;
}

// What the runtime asks for by capability.
std::optional<cni::Error> set_capabilities(AddPlan& plan) {
  if (auto wrong = check_mappings(plan.config)) return wrong;
  const auto limits = port_limits(plan.config);
  if (!limits) return limits.error();
  plan.limits = *limits;
  if (!on_socket(plan.row.kind)) return std::nullopt;
  plan.device_info = plan.config.runtime.device_info_file;
  return check_device_info(plan.device_info);
}

Attachment make_row(const AddPlan& plan, const cni::Request& request, api::PortKind kind) {
  Attachment row;
  row.created = unix_millis();
  row.network = plan.config.name;
  row.container_id = plan.environment.container_id;
  row.ifname = plan.environment.ifname;
  row.netns = plan.environment.netns;
  row.kind = kind;
  row.config = request.config;
  row.args = plan.environment.args;
  row.cni_version = to_string(plan.config.version);
  row.pod_name = plan.environment.arguments.get("K8S_POD_NAME");
  row.pod_namespace = plan.environment.arguments.get("K8S_POD_NAMESPACE");
  return row;
}

}  // namespace

std::optional<cni::Error> check_mtu(uint16_t mtu, bool has_ip6) {
  const uint16_t least = has_ip6 ? kMinMtu6 : kMinMtu4;
  if (mtu >= least) return std::nullopt;
  return cni::Error{cni::Code::invalid_config, "mtu " + std::to_string(mtu) + " is below " +
                                                   std::to_string(least) +
                                                   ", the least that its addresses need"};
}

cni::Outcome<RangeSets> ranges_of(const Controller& controller, const cni::NetworkConfig& config) {
  auto ranges =
      parse_ranges(config.ipam, controller.config.network.pod_cidrs, config.runtime.ip_ranges);
  if (!ranges) return cni_error(ranges.error());
  return *std::move(ranges);
}

cni::Outcome<AddPlan> plan_add(const Controller& controller, const cni::Request& request) {
  auto config = cni::parse_network_config(request.config, cni::Command::add);
  if (!config) return config.error();
  if (const auto wrong = cni::check_netns(request.environment)) return *wrong;
  const api::PortKind kind = port_kind(*config);
  AddPlan plan{.environment = request.environment, .config = *std::move(config)};
  plan.row = make_row(plan, request, kind);
  const bool delegated = cni::delegates_ipam(plan.config);
  if (const auto wrong =
          delegated ? set_delegate(request, plan) : set_addressing(controller, plan)) {
    return *wrong;
  }
  if (const auto wrong = set_link(controller, plan)) return *wrong;
  if (const auto wrong = set_capabilities(plan)) return *wrong;
  return plan;
}

}  // namespace weir::control
