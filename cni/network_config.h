// The network configuration that a runtime writes to the plugin's stdin.
// Source: CNI SPEC 1.1.0, "Network configuration format"; CONVENTIONS.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cni/environment.h"
#include "cni/json.h"
#include "cni/result.h"
#include "dataplane/api/net.h"

namespace weir::cni {

enum class PortKind : uint8_t { kernel, memif, vhost_user };

std::string_view to_string(PortKind kind) noexcept;

struct PortMapping {
  uint16_t host_port = 0;  // 0 = no mapping wanted
  uint16_t container_port = 0;
  std::string protocol;  // "tcp", "udp" or "sctp"
  IpAddress host_ip;     // none = every address of the node
};

// Rates in bit/s, bursts in bits; 0 = no limit.
struct Bandwidth {
  uint64_t ingress_rate = 0;
  uint64_t ingress_burst = 0;
  uint64_t egress_rate = 0;
  uint64_t egress_burst = 0;
};

// What the runtime adds by capability.
struct RuntimeConfig {
  std::vector<PortMapping> port_mappings;
  std::optional<Bandwidth> bandwidth;
  std::vector<std::string> ips;  // as they came: "10.0.0.5" or "10.0.0.5/24"
  Json ip_ranges;                // list of range sets, null = absent; left to IPAM
  std::string mac;
  Dns dns;
  std::string device_id;
  std::string device_info_file;  // CNIDeviceInfoFile
  std::map<std::string, std::string> pod_annotations;
};

// "args.cni": the older way of asking for addresses.
struct ConventionArgs {
  std::vector<std::string> ips;
  std::string mac;
};

// An attachment as cni.dev/valid-attachments lists it.
struct AttachmentName {
  std::string container_id;
  std::string ifname;

  auto operator<=>(const AttachmentName&) const = default;
};

struct NetworkConfig {
  Version version = Version::v0_1_0;
  std::string name;
  std::string type;
  PortKind port = PortKind::kernel;
  std::optional<uint16_t> mtu;  // L3 bytes; absent = derived
  std::string ipam_type;        // "" and "weir" = built-in; else the delegate's program
  Json ipam;                    // the whole object, null = absent
  Dns dns;
  RuntimeConfig runtime;
  ConventionArgs args;
  std::optional<Result> prev_result;
  // GC: nullopt = the key is absent, so nothing may be freed; empty = free all.
  std::optional<std::vector<AttachmentName>> valid_attachments;
  Json document;  // everything as parse_json() returns it, further keys included
};

inline bool delegates_ipam(const NetworkConfig& config) {
  return !config.ipam_type.empty() && config.ipam_type != "weir";
}

// Decodes and checks in the order of the specification: JSON (6), name (7), version
// (1; also CHECK before 0.4.0, GC and STATUS before 1.1.0), then the rest (6 for wrong
// types, 7 for wrong values). DEL ignores errors in the rest, field by field: what an
// ADD refused must still be removable.
Outcome<NetworkConfig> parse_network_config(std::string_view text, Command command);

// Best effort for error messages: the version a malformed configuration asks for.
Version version_of(std::string_view text);

// The wanted MAC: runtimeConfig before args.cni before CNI_ARGS; nullopt = none wanted.
// Code 7 when it is not a unicast MAC address.
Outcome<std::optional<MacAddress>> requested_mac(const NetworkConfig& config,
                                                 const Environment& environment);

// Wanted addresses, of CNI_ARGS IP, args.cni.ips and runtimeConfig.ips in this order,
// without repetition. A prefix length is accepted and not kept. Code 7 for a bad one.
Outcome<std::vector<IpAddress>> requested_addresses(const NetworkConfig& config,
                                                    const Environment& environment);

}  // namespace weir::cni
