#include "cni/runtime_config.h"

#include <algorithm>
#include <cctype>

namespace weir::cni {
namespace {

Error config_error(std::string msg) { return {Code::invalid_config, std::move(msg), {}}; }

Outcome<PortMapping> parse_port_mapping(const Json& entry) {
  FieldReader reader(entry, "runtimeConfig.portMappings[]");
  PortMapping mapping;
  mapping.host_port = static_cast<uint16_t>(reader.integer("hostPort", 0, 65535).value_or(0));
  mapping.container_port =
      static_cast<uint16_t>(reader.integer("containerPort", 1, 65535).value_or(0));
  mapping.protocol = reader.text("protocol");
  const std::string host_ip = reader.text("hostIP");
  if (reader.error()) return *reader.error();
  std::ranges::transform(mapping.protocol, mapping.protocol.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (mapping.protocol.empty()) mapping.protocol = "tcp";
  if (mapping.protocol != "tcp" && mapping.protocol != "udp" && mapping.protocol != "sctp") {
    return config_error("the port mapping's protocol is neither tcp, udp nor sctp");
  }
  if (mapping.container_port == 0) return config_error("a port mapping has no containerPort");
  if (host_ip.empty()) return mapping;
  const std::optional<IpAddress> address = parse_address(host_ip);
  if (!address) return config_error("the port mapping's hostIP is not an address");
  mapping.host_ip = *address;
  return mapping;
}

void read_port_mappings(FieldReader& reader, RuntimeConfig& config) {
  const Json* list = reader.array("portMappings");
  if (list == nullptr) return;
  for (const Json& entry : *list) {
    Outcome<PortMapping> mapping = parse_port_mapping(entry);
    if (!mapping) return reader.fail(mapping.error());
    config.port_mappings.push_back(*std::move(mapping));
  }
}

void read_bandwidth(FieldReader& reader, RuntimeConfig& config) {
  const Json* object = reader.object("bandwidth");
  if (object == nullptr) return;
  FieldReader fields(*object, "runtimeConfig.bandwidth");
  const auto number = [&fields](const char* key) {
    return static_cast<uint64_t>(fields.integer(key, 0, INT64_MAX).value_or(0));
  };
  config.bandwidth = Bandwidth{number("ingressRate"), number("ingressBurst"), number("egressRate"),
                               number("egressBurst")};
  if (fields.error()) reader.fail(*fields.error());
}

// The capability's own spelling: servers and searches.
void read_dns(FieldReader& reader, RuntimeConfig& config) {
  const Json* object = reader.object("dns");
  if (object == nullptr) return;
  FieldReader fields(*object, "runtimeConfig.dns");
  config.dns = Dns{fields.texts("servers"), {}, fields.texts("searches"), fields.texts("options")};
  if (fields.error()) reader.fail(*fields.error());
}

void read_annotations(FieldReader& reader, RuntimeConfig& config) {
  const Json* object = reader.object("io.kubernetes.cri.pod-annotations");
  if (object == nullptr) return;
  for (const auto& [key, value] : object->items()) {
    if (!value.is_string()) {
      return reader.fail(
          {Code::decoding_failure, "the pod annotation " + key + " is not a string", {}});
    }
    config.pod_annotations.emplace(key, value.get<std::string>());
  }
}

}  // namespace

Outcome<RuntimeConfig> parse_runtime_config(const Json& object) {
  FieldReader reader(object, "runtimeConfig");
  RuntimeConfig config;
  read_port_mappings(reader, config);
  read_bandwidth(reader, config);
  read_dns(reader, config);
  read_annotations(reader, config);
  config.ips = reader.texts("ips");
  config.mac = reader.text("mac");
  config.device_id = reader.text("deviceID");
  config.device_info_file = reader.text("CNIDeviceInfoFile");
  if (const Json* ranges = reader.array("ipRanges")) config.ip_ranges = *ranges;
  if (reader.error()) return *reader.error();
  return config;
}

}  // namespace weir::cni
