#include "control/cni/pod_result.h"

namespace weir::control {

cni::Result make_result(const AddPlan& plan, const Attachment& row,
                        const std::vector<Lease>& leases,
                        const std::vector<cni::RouteConfig>& routes, const api::PortConfig& port) {
  const bool ethernet = port.memif_mode == api::MemifMode::ethernet;  // of all other kinds too
  cni::Result result = plan.config.prev_result.value_or(cni::Result{});
  const auto index = static_cast<uint32_t>(result.interfaces.size());
  result.interfaces.push_back({.name = row.ifname,
                               .mac = ethernet ? to_string(row.mac) : "",
                               .sandbox = row.netns,
                               .mtu = row.mtu,
                               .socket_path = api::get_text(port.socket_path)});
  for (const Lease& lease : leases) {
    result.ips.push_back({.address = lease.address,
                          .length = lease.address.bits(),  // as the interface has it
                          .gateway = lease.gateway,
                          .interface = index});
  }
  result.routes.insert(result.routes.end(), routes.begin(), routes.end());
  if (!plan.config.runtime.dns.empty()) {
    result.dns = plan.config.runtime.dns;
  } else if (!plan.config.dns.empty()) {
    result.dns = plan.config.dns;
  }
  return result;
}

}  // namespace weir::control
