#include "control/reconcile/host_port.h"

#include "control/cni/pod_port.h"
#include "control/reconcile/adopt.h"

namespace weir::control {

namespace {

constexpr MacAddress kHostMac{{0x02, 0x77, 0x65, 0x69, 0x72, 0x02}};  // next to the gateway's

// Host ports under names that the configuration had before.
Status remove_former(Controller& controller) {
  const config::NetworkConfig& network = controller.config.network;
  const Result<std::vector<Attachment>> rows = controller.store.attachments();
  if (!rows) return rows.error();
  for (const Attachment& row : *rows) {
    if (row.container_id != kHostContainerId) continue;
    if (row.network == network.name && row.ifname == network.host_interface) continue;
    if (const Status removed = remove_link(pod_link(row)); !removed) return removed;
    if (const Status removed = controller.ipam.remove(row.id); !removed) return removed;
  }
  return {};
}

Status record_host(const Controller& controller, const std::vector<Lease>& leases) {
  const Result<std::optional<Attachment>> row =
      controller.store.find_attachment(controller.host.key);
  if (!row) return row.error();
  return *row ? record_attachment(controller, **row, leases) : Status{};
}

}  // namespace

Status ensure_host_port(Controller& controller) {
  const config::NetworkConfig& network = controller.config.network;
  if (const Status removed = remove_former(controller); !removed) return removed;
  const Result<std::optional<Attachment>> row =
      controller.store.find_attachment(network.name, kHostContainerId, network.host_interface);
  if (!row) return row.error();
  if (controller.store.recovered() && !*row) {
    const Status removed = remove_orphaned_link(network.host_interface);
    if (!removed) return removed;
  }
  const Result<Ipam::HostLease> lease = controller.ipam.host_lease(
      network.name, network.host_interface, default_ranges(network.pod_cidrs));
  if (!lease) return lease.error();
  HostLink host;
  host.link.ifname = network.host_interface;
  host.link.key = lease->attachment;
  host.link.mac = kHostMac;
  host.link.mtu = network.mtu;
  for (const Lease& one : lease->leases) host.link.addresses.push_back(one.address);
  host.link.gateway4 = gateway_of(lease->leases, Family::ip4);
  host.link.gateway6 = gateway_of(lease->leases, Family::ip6);
  host.pod_prefixes = network.pod_cidrs;
  const Result<api::Fd> made = ensure_host_link(host);
  if (!made) return made.error();
  controller.host = {.key = lease->attachment, .link = host};
  return record_host(controller, lease->leases);
}

ReplayPort host_replay_port(const Controller& controller) {
  const HostLink& host = controller.host.link;
  ReplayPort out;
  out.config = {.key = controller.host.key,
                .kind = api::PortKind::host,
                .address_count = static_cast<uint8_t>(host.link.addresses.size()),
                .mtu = host.link.mtu,
                .flags = api::kPortTrusted,
                .mac = host.link.mac,
                .gateway4 = host.link.gateway4,
                .gateway6 = host.link.gateway6};
  api::set_text(out.config.name, "host");
  api::set_text(out.config.ifname, host.link.ifname);
  for (size_t i = 0; i < host.link.addresses.size(); ++i) {
    out.config.addresses[i] = host.link.addresses[i];
  }
  out.open_tap = [host]() -> Result<api::Fd> {
    Result<api::Fd> made = ensure_host_link(host);
    if (!made || *made) return made;
    return attach_link(host.link);
  };
  out.tap_first = true;
  return out;
}

}  // namespace weir::control
