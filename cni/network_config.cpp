#include "cni/network_config.h"

#include <algorithm>

#include "cni/runtime_config.h"

namespace weir::cni {
namespace {

constexpr int64_t kMinMtu = 68;  // RFC 791
constexpr int64_t kMaxMtu = 65535;
constexpr size_t kMaxNetworkName = 255;
constexpr size_t kMaxIpamType = 255;

Error config_error(std::string msg, std::string details = {}) {
  return {Code::invalid_config, std::move(msg), std::move(details)};
}

std::optional<Error> check_name(const std::string& name) {
  if (name.empty()) return config_error("the network configuration has no name");
  if (name.size() > kMaxNetworkName || !is_cni_name(name)) {
    return config_error(
        "the network name \"" + name.substr(0, 64) + "\" is not valid",
        "use at most 255 letters, digits, '_', '.' and '-', starting with a letter or digit");
  }
  return std::nullopt;
}

std::optional<Error> check_version(const std::string& text, Command command, Version& version) {
  const std::optional<Version> parsed = parse_version(text);
  if (!parsed) {
    std::string supported;
    for (std::string_view one : kSupportedVersions) {
      supported.append(supported.empty() ? "" : ", ").append(one);
    }
    return Error{Code::incompatible_version,
                 "cniVersion \"" + text.substr(0, 64) + "\" is not supported",
                 "supported versions: " + supported};
  }
  version = *parsed;
  Version since = Version::v0_1_0;
  if (command == Command::check) since = Version::v0_4_0;
  if (command == Command::gc || command == Command::status) since = Version::v1_1_0;
  if (version >= since) return std::nullopt;
  return Error{Code::incompatible_version,
               std::string(to_string(command)) + " needs cniVersion " +
                   std::string(to_string(since)) + " or later",
               "the network configuration says \"" + text + "\""};
}

std::optional<Error> read_port(FieldReader& reader, NetworkConfig& config) {
  const std::string text = reader.text("port");
  if (text.empty()) return reader.error();
  for (const PortKind kind : {PortKind::kernel, PortKind::memif, PortKind::vhost_user}) {
    if (text == to_string(kind)) {
      config.port = kind;
      return std::nullopt;
    }
  }
  return config_error("port \"" + text.substr(0, 64) + "\" is unknown",
                      "use kernel, memif or vhost-user");
}

std::optional<Error> read_mtu(FieldReader& reader, NetworkConfig& config) {
  const std::optional<int64_t> mtu = reader.integer("mtu", 0, kMaxMtu);
  if (!mtu || *mtu == 0) return reader.error();
  if (*mtu < kMinMtu) return config_error("mtu is less than 68, the least that IPv4 allows");
  config.mtu = static_cast<uint16_t>(*mtu);
  return std::nullopt;
}

std::optional<Error> read_ipam(FieldReader& reader, NetworkConfig& config) {
  const Json* ipam = reader.object("ipam");
  if (ipam == nullptr) return reader.error();
  FieldReader fields(*ipam, "ipam");
  const std::string type = fields.text("type");
  if (fields.error()) return fields.error();
  // It names a program in CNI_PATH: a path would run anything as root.
  if (type.size() > kMaxIpamType || type == "." || type == ".." ||
      type.find_first_of(std::string_view("/\0", 2)) != type.npos) {
    return config_error("ipam.type \"" + type.substr(0, 64) + "\" is not a program's name",
                        "write a name without '/', found in CNI_PATH, or weir");
  }
  config.ipam_type = type;
  config.ipam = *ipam;
  return std::nullopt;
}

std::optional<Error> read_dns(FieldReader& reader, NetworkConfig& config) {
  const Json* dns = reader.object("dns");
  if (dns == nullptr) return reader.error();
  Outcome<Dns> parsed = parse_dns(*dns);
  if (!parsed) return parsed.error();
  config.dns = *std::move(parsed);
  return std::nullopt;
}

std::optional<Error> read_prev_result(FieldReader& reader, NetworkConfig& config) {
  const Json* previous = reader.object("prevResult");
  if (previous == nullptr) return reader.error();
  Outcome<Result> parsed = parse_result(*previous);
  if (!parsed) {
    return Error{parsed.error().code, "prevResult is not valid: " + parsed.error().msg, {}};
  }
  config.prev_result = *std::move(parsed);
  return std::nullopt;
}

std::optional<Error> read_args(FieldReader& reader, NetworkConfig& config) {
  const Json* args = reader.object("args");
  if (args == nullptr) return reader.error();
  FieldReader outer(*args, "args");
  const Json* cni = outer.object("cni");
  if (cni == nullptr) return outer.error();
  FieldReader fields(*cni, "args.cni");
  config.args = ConventionArgs{fields.texts("ips"), fields.text("mac")};
  return fields.error();
}

// An entry that cannot be read must not look like one that is no longer valid.
Outcome<AttachmentName> parse_attachment(const Json& entry) {
  FieldReader fields(entry, "cni.dev/valid-attachments[]");
  AttachmentName name{fields.text("containerID"), fields.text("ifname")};
  if (fields.error()) return *fields.error();
  if (name.container_id.empty() || name.ifname.empty()) {
    return config_error("cni.dev/valid-attachments has an entry without containerID or ifname");
  }
  return name;
}

// The key's absence and its null differ here, unlike everywhere else: a runtime
// without attachments writes null (a nil slice in Go).
std::optional<Error> read_attachments(FieldReader& reader, NetworkConfig& config) {
  // libcni writes both; "cni.dev/attachments" is what the specification once said.
  for (const char* key : {"cni.dev/valid-attachments", "cni.dev/attachments"}) {
    if (!config.document.contains(key)) continue;
    const Json* list = reader.array(key);
    if (reader.error()) return reader.error();
    std::vector<AttachmentName> names;
    static const Json kNone = Json::array();
    for (const Json& entry : list == nullptr ? kNone : *list) {
      Outcome<AttachmentName> name = parse_attachment(entry);
      if (!name) return name.error();
      names.push_back(*std::move(name));
    }
    config.valid_attachments = std::move(names);
    return std::nullopt;
  }
  return std::nullopt;
}

std::optional<Error> read_runtime_config(FieldReader& reader, NetworkConfig& config) {
  const Json* runtime = reader.object("runtimeConfig");
  if (runtime == nullptr) return reader.error();
  Outcome<RuntimeConfig> parsed = parse_runtime_config(*runtime);
  if (!parsed) return parsed.error();
  config.runtime = *std::move(parsed);
  return std::nullopt;
}

std::optional<Error> read_type(FieldReader& reader, NetworkConfig& config) {
  config.type = reader.text("type");
  return reader.error();
}

using FieldParser = std::optional<Error> (*)(FieldReader&, NetworkConfig&);

constexpr FieldParser kFieldParsers[] = {read_type,           read_port,        read_mtu,
                                         read_ipam,           read_dns,         read_args,
                                         read_runtime_config, read_prev_result, read_attachments};

}  // namespace

std::string_view to_string(PortKind kind) noexcept {
  switch (kind) {
    case PortKind::kernel: return "kernel";
    case PortKind::memif: return "memif";
    case PortKind::vhost_user: return "vhost-user";
  }
  return "unknown";
}

Outcome<NetworkConfig> parse_network_config(std::string_view text, Command command) {
  Outcome<Json> document = parse_json(text);
  if (!document) return document.error();
  NetworkConfig config;
  config.document = *std::move(document);

  FieldReader header(config.document, "the network configuration");
  config.name = header.text("name");
  const std::string version = header.text("cniVersion");
  if (header.error()) return *header.error();
  if (auto error = check_name(config.name)) return *error;
  if (auto error = check_version(version, command, config.version)) return *error;

  for (const FieldParser parse : kFieldParsers) {
    FieldReader reader(config.document, "");
    const auto error = parse(reader, config);
    if (error && command != Command::del) return *error;
  }
  return config;
}

Version version_of(std::string_view text) {
  const Outcome<Json> document = parse_json(text);
  if (!document || !document->is_object()) return kNewestVersion;
  FieldReader reader(*document, "");
  const std::string version = reader.text("cniVersion");
  return reader.error() ? kNewestVersion : parse_version(version).value_or(kNewestVersion);
}

Outcome<std::optional<MacAddress>> requested_mac(const NetworkConfig& config,
                                                 const Environment& environment) {
  for (const std::string& text :
       {config.runtime.mac, config.args.mac, environment.arguments.get("MAC")}) {
    if (text.empty()) continue;
    const std::optional<MacAddress> mac = parse_mac(text);
    if (!mac || mac->is_zero() || mac->is_multicast()) {
      return config_error("the requested MAC \"" + text.substr(0, 64) +
                          "\" is not a unicast address");
    }
    return mac;
  }
  return std::optional<MacAddress>();
}

Outcome<std::vector<IpAddress>> requested_addresses(const NetworkConfig& config,
                                                    const Environment& environment) {
  std::vector<std::string> texts;
  if (const std::string ip = environment.arguments.get("IP"); !ip.empty()) texts.push_back(ip);
  texts.insert(texts.end(), config.args.ips.begin(), config.args.ips.end());
  texts.insert(texts.end(), config.runtime.ips.begin(), config.runtime.ips.end());
  std::vector<IpAddress> addresses;
  for (const std::string& text : texts) {
    const auto address = parse_address(std::string_view(text).substr(0, text.find('/')));
    if (!address) {
      return config_error("the requested address \"" + text.substr(0, 64) + "\" is not valid");
    }
    if (std::ranges::find(addresses, *address) == addresses.end()) addresses.push_back(*address);
  }
  return addresses;
}

}  // namespace weir::cni
