#include "control/cni/pod_port.h"

#include <sys/un.h>

#include <algorithm>
#include <bit>

#include "cni/json.h"

namespace weir::control {

namespace {

constexpr size_t kLongestSocketPath = sizeof(sockaddr_un::sun_path) - 1;

bool has_family(const std::vector<Lease>& leases, Family family) {
  return std::ranges::any_of(leases, [&](const Lease& l) { return l.address.family == family; });
}

// 2^9, not 9: the network configuration says how many descriptors a ring has.
std::optional<uint8_t> log2_of(std::optional<int64_t> size) {
  if (!size) return uint8_t{0};
  const auto value = static_cast<uint64_t>(*size);
  if (!std::has_single_bit(value)) return std::nullopt;
  return static_cast<uint8_t>(std::countr_zero(value));
}

std::optional<cni::Error> read_mode(const std::string& mode, api::PortConfig& port) {
  if (mode == "ip") port.memif_mode = api::MemifMode::ip;
  if (mode.empty() || mode == "ethernet" || mode == "ip") return std::nullopt;
  return cni::Error{cni::Code::invalid_config, "memif.mode is neither \"ethernet\" nor \"ip\""};
}

// weir's own side: a client connects to a socket that the pod's program makes. `object`: the
// configuration's part that they come from. True: client.
cni::Outcome<bool> read_role(const std::string& object, const std::string& role,
                             const std::string& path, api::PortConfig& port) {
  const auto refuse = [&object](std::string why) {
    return cni::Error{cni::Code::invalid_config, object + "." + std::move(why)};
  };
  if (!role.empty() && role != "server" && role != "client")
    return refuse("role is neither \"server\" nor \"client\"");
  if (role != "client" && !path.empty()) return refuse("path needs the role \"client\"");
  if (role != "client") return false;
  if (path.empty() || path[0] != '/')
    return refuse("path must be the absolute path of the pod's socket");
  if (path.size() > kLongestSocketPath) return refuse("path is longer than 107 bytes");
  api::set_text(port.socket_path, path);
  return true;
}

// Who may use the socket; what is not given stays as it is.
void read_access(cni::FieldReader& reader, api::PortConfig& port) {
  port.socket_mode =
      static_cast<uint32_t>(reader.integer("socketMode", 0, 0777).value_or(port.socket_mode));
  port.socket_uid =
      static_cast<uint32_t>(reader.integer("socketUid", 0, UINT32_MAX).value_or(port.socket_uid));
  port.socket_gid =
      static_cast<uint32_t>(reader.integer("socketGid", 0, UINT32_MAX).value_or(port.socket_gid));
}

// The configuration's "memif" object, see weir-cni(8); 0 = the dataplane's default.
std::optional<cni::Error> read_memif(const cni::Json& object, api::PortConfig& port) {
  cni::FieldReader reader(object, "memif");
  if (reader.boolean("trusted")) port.flags |= api::kPortUnsealed;
  const std::string secret = reader.text("secret");
  const std::string mode = reader.text("mode");
  const std::string role = reader.text("role");
  const std::string path = reader.text("path");
  const auto ring = log2_of(reader.integer("ringSize", 32, 16384));
  port.memif_queues = static_cast<uint8_t>(reader.integer("queues", 1, 16).value_or(0));
  port.memif_buffer = static_cast<uint16_t>(reader.integer("bufferSize", 256, 65535).value_or(0));
  read_access(reader, port);
  if (reader.error()) return reader.error();
  if (!ring) return cni::Error{cni::Code::invalid_config, "memif.ringSize is not a power of two"};
  if (secret.size() >= port.secret.size()) {
    return cni::Error{cni::Code::invalid_config, "memif.secret is longer than 23 bytes"};
  }
  port.memif_log2_ring = *ring;
  api::set_text(port.secret, secret);
  const auto client = read_role("memif", role, path, port);
  if (!client) return client.error();
  if (*client) port.memif_role = api::MemifRole::client;
  return read_mode(mode, port);
}

// The configuration's "vhost-user" object, see weir-cni(8).
std::optional<cni::Error> read_vhost(const cni::Json& object, api::PortConfig& port) {
  cni::FieldReader reader(object, "vhost-user");
  if (reader.boolean("trusted")) port.flags |= api::kPortUnsealed;
  const std::string role = reader.text("role");
  const std::string path = reader.text("path");
  port.vhost_queues = static_cast<uint8_t>(reader.integer("queues", 1, 8).value_or(0));
  read_access(reader, port);
  if (reader.error()) return reader.error();
  const auto client = read_role("vhost-user", role, path, port);
  if (!client) return client.error();
  if (*client) port.vhost_role = api::VhostRole::client;
  return std::nullopt;
}

std::string people_name(const Attachment& row) {
  return row.pod_name.empty() ? row.container_id : row.pod_namespace + "/" + row.pod_name;
}

}  // namespace

MacAddress pod_mac(uint64_t key) noexcept {
  MacAddress mac{{0x06, 0x77, 0, 0, 0, 0}};  // locally administered, never the gateway's
  for (size_t i = 0; i < 4; ++i) mac.bytes[5 - i] = static_cast<uint8_t>(key >> (8 * i));
  return mac;
}

bool on_socket(api::PortKind kind) noexcept {
  return kind == api::PortKind::memif || kind == api::PortKind::vhost_user;
}

std::string pod_socket(const std::string& pods_dir, const Attachment& row) {
  const std::string path = pods_dir + "/" + row.container_id + "-" + row.ifname + ".sock";
  if (path.size() <= kLongestSocketPath) return path;
  return pods_dir + "/" + std::to_string(row.id) + ".sock";
}

std::vector<cni::RouteConfig> default_routes() {
  return {{.dst = *parse_prefix("0.0.0.0/0")}, {.dst = *parse_prefix("::/0")}};
}

cni::Outcome<std::vector<cni::RouteConfig>> pod_routes(const cni::NetworkConfig& config) {
  std::vector<cni::RouteConfig> routes;
  if (config.ipam.is_object() && config.ipam.contains("routes")) {
    cni::FieldReader reader(config.ipam, "ipam");
    const cni::Json* list = reader.array("routes");
    if (reader.error()) return *reader.error();
    for (size_t i = 0; list != nullptr && i < list->size(); ++i) {
      auto route = cni::parse_route((*list)[i]);
      if (!route) return route.error();
      routes.push_back(*route);
    }
  }
  return routes.empty() ? default_routes() : routes;
}

std::vector<cni::RouteConfig> for_leases(const std::vector<cni::RouteConfig>& routes,
                                         const std::vector<Lease>& leases) {
  std::vector<cni::RouteConfig> out;
  for (cni::RouteConfig route : routes) {
    if (!has_family(leases, route.dst.address.family)) continue;
    if (route.gw.is_none()) route.gw = gateway_of(leases, route.dst.address.family);
    out.push_back(route);
  }
  return out;
}

IpAddress gateway_of(const std::vector<Lease>& leases, Family family) noexcept {
  for (const Lease& lease : leases) {
    if (lease.gateway.family == family) return lease.gateway;
  }
  return {};
}

cni::Outcome<api::PortConfig> port_config(const Controller& controller, const Attachment& row,
                                          const std::vector<Lease>& leases,
                                          const cni::NetworkConfig& config) {
  api::PortConfig port{.key = row.id, .kind = row.kind, .mtu = row.mtu, .mac = row.mac};
  api::set_text(port.name, people_name(row));
  api::set_text(port.ifname, row.ifname);
  port.gateway4 = gateway_of(leases, Family::ip4);
  port.gateway6 = gateway_of(leases, Family::ip6);
  if (leases.size() > port.addresses.size()) {
    return cni::Error{cni::Code::invalid_config, "more than 8 addresses for one interface"};
  }
  port.address_count = static_cast<uint8_t>(leases.size());
  for (size_t i = 0; i < leases.size(); ++i) port.addresses[i] = leases[i].address;
  if (!on_socket(row.kind)) return port;
  api::set_text(port.socket_path, pod_socket(controller.paths.pods_dir(), row));
  port.socket_mode = controller.config.network.socket_mode;
  port.socket_uid = controller.config.network.socket_uid;
  port.socket_gid = controller.config.network.socket_gid;
  const bool memif = row.kind == api::PortKind::memif;
  const char* const own = memif ? "memif" : "vhost-user";
  if (config.document.is_object() && config.document.contains(own)) {
    const cni::Json& object = config.document[own];
    if (const auto error = memif ? read_memif(object, port) : read_vhost(object, port))
      return *error;
  }
  return port;
}

cni::Outcome<api::PortLimits> port_limits(const cni::NetworkConfig& config) {
  const cni::Bandwidth wanted = config.runtime.bandwidth.value_or(cni::Bandwidth{});
  const auto halved = [](uint64_t rate, uint64_t burst) { return (rate == 0) != (burst == 0); };
  if (halved(wanted.ingress_rate, wanted.ingress_burst) ||
      halved(wanted.egress_rate, wanted.egress_burst)) {
    return cni::Error{cni::Code::invalid_config, "a bandwidth limit has no rate or no burst",
                      "give both, or neither"};
  }
  return api::PortLimits{.rx_rate = wanted.egress_rate,
                         .rx_burst = wanted.egress_burst,
                         .tx_rate = wanted.ingress_rate,
                         .tx_burst = wanted.ingress_burst};
}

PodLink pod_link(const Attachment& row) {
  PodLink link;
  link.ifname = row.ifname;
  link.key = row.id;
  link.mac = row.mac;
  link.mtu = row.mtu;
  return link;
}

PodLink pod_link(const Attachment& row, const std::vector<Lease>& leases,
                 const std::vector<cni::RouteConfig>& routes) {
  PodLink link = pod_link(row);
  for (const Lease& lease : leases) link.addresses.push_back(lease.address);
  link.gateway4 = gateway_of(leases, Family::ip4);
  link.gateway6 = gateway_of(leases, Family::ip6);
  for (const cni::RouteConfig& route : routes) {
    link.routes.push_back({.prefix = route.dst,
                           .gateway = route.gw,
                           .mtu = route.mtu.value_or(0),
                           .advmss = route.advmss.value_or(0),
                           .priority = route.priority.value_or(0),
                           .table = route.table.value_or(0)});
  }
  return link;
}

}  // namespace weir::control
