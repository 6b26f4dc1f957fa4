#include "config/settings.h"

#include <arpa/inet.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace weir::config {

namespace {

constexpr uint64_t kMinMemoryMib = 64;
constexpr uint64_t kMaxMemoryMib = 1 << 20;
constexpr uint64_t kMinConnections = 1024;
constexpr uint64_t kMaxConnections = (1 << 24) - 1;  // numbers of the dataplane's records
constexpr uint64_t kMinMtuIp6 = 1280;  // RFC 8200 5
constexpr uint64_t kMaxCore = 1023;   // CPU_SETSIZE
constexpr uint64_t kMaxPods = 65000;  // port numbers of the dataplane, some left over
// A pod range holds at least the gateway, the node's own address and a few pods.
constexpr uint8_t kMaxLength4 = 29;
constexpr uint8_t kMaxLength6 = 125;
constexpr uint8_t kMinLength4 = 8;
constexpr uint8_t kMinLength6 = 8;
constexpr std::array<std::string_view, 7> kLogLevels{"trace", "debug",    "info", "warn",
                                                     "error", "critical", "off"};

std::string shown(const Json& value) {
  std::string text = value.dump();
  if (text.size() > 48) text = text.substr(0, 45) + "...";
  return text;
}

}  // namespace

Status wrong(const std::string& path, const Json& value, const std::string& wanted) {
  return complain(path, "must be " + wanted + ", but is " + shown(value));
}

std::string element(const std::string& path, size_t index) {
  return path + "[" + std::to_string(index) + "]";
}

Status read_number(const Json& value, const std::string& path, uint64_t low, uint64_t high,
                   uint64_t& number) {
  const std::string wanted =
      "a whole number from " + std::to_string(low) + " to " + std::to_string(high);
  if (!value.is_number_unsigned()) return wrong(path, value, wanted);
  number = value.get<uint64_t>();
  return number < low || number > high ? wrong(path, value, wanted) : Status();
}

Status read_string(const Json& value, const std::string& path, const std::string& wanted,
                   std::string& text) {
  if (!value.is_string()) return wrong(path, value, wanted);
  text = value.get<std::string>();
  return text.find('\0') == std::string::npos ? Status() : wrong(path, value, wanted);
}

namespace {

Status read_log_level(const Json& value, const std::string& path, std::string& level) {
  const std::string wanted = R"("trace", "debug", "info", "warn", "error", "critical" or "off")";
  std::string text;
  if (Status status = read_string(value, path, wanted, text); !status) return status;
  if (std::find(kLogLevels.begin(), kLogLevels.end(), text) == kLogLevels.end()) {
    return wrong(path, value, wanted);
  }
  level = text;
  return {};
}

Status parse_workers(const Json& value, const std::string& path, Config& config) {
  if (!value.is_array() || value.empty()) {
    return wrong(path, value, "a list of at least one core number, for example [1]");
  }
  std::vector<uint32_t> cores;
  for (size_t i = 0; i < value.size(); ++i) {
    uint64_t core = 0;
    if (Status s = read_number(value[i], element(path, i), 0, kMaxCore, core); !s) return s;
    if (std::find(cores.begin(), cores.end(), core) != cores.end()) {
      return complain(element(path, i), "names core " + std::to_string(core) +
                                            " again; a core runs one worker, remove one of them");
    }
    cores.push_back(static_cast<uint32_t>(core));
  }
  config.dataplane.workers = cores;
  return {};
}

Status parse_hugepages(const Json& value, const std::string& path, Config& config) {
  const std::string text = value.is_string() ? value.get<std::string>() : "";
  if (text == "auto") {
    config.dataplane.hugepages = Hugepages::automatic;
  } else if (text == "required") {
    config.dataplane.hugepages = Hugepages::required;
  } else if (text == "off") {
    config.dataplane.hugepages = Hugepages::off;
  } else {
    return wrong(path, value, R"("auto", "required" or "off")");
  }
  return {};
}

Status parse_memory(const Json& value, const std::string& path, Config& config) {
  uint64_t number = 0;
  if (Status s = read_number(value, path, kMinMemoryMib, kMaxMemoryMib, number); !s) return s;
  config.dataplane.memory_mib = static_cast<uint32_t>(number);
  return {};
}

Status parse_connections(const Json& value, const std::string& path, Config& config) {
  uint64_t number = 0;
  if (Status s = read_number(value, path, kMinConnections, kMaxConnections, number); !s) return s;
  config.dataplane.connections = static_cast<uint32_t>(number);
  return {};
}

Status parse_dataplane_log(const Json& value, const std::string& path, Config& config) {
  return read_log_level(value, path, config.dataplane.log_level);
}

Status parse_eal_args(const Json& value, const std::string& path, Config& config) {
  const std::string wanted = "a list of strings, for example [\"--legacy-mem\"]";
  if (!value.is_array()) return wrong(path, value, wanted);
  std::vector<std::string> arguments;
  for (size_t i = 0; i < value.size(); ++i) {
    std::string text;
    if (Status s = read_string(value[i], element(path, i), "a string", text); !s) return s;
    if (text.empty()) return complain(element(path, i), "is empty; remove it");
    arguments.push_back(text);
  }
  config.dataplane.eal_args = arguments;
  return {};
}

Status parse_control_log(const Json& value, const std::string& path, Config& config) {
  return read_log_level(value, path, config.control.log_level);
}

// "IP:PORT", "[IPv6]:PORT".
bool is_endpoint(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return false;
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc{} || end != digits.data() + digits.size() || port == 0) return false;
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto address = parse_address(host);
  return address && address->is_ip6() == bracketed;
}

Status parse_metrics(const Json& value, const std::string& path, Config& config) {
  const std::string wanted =
      R"("ADDRESS:PORT" such as "127.0.0.1:9470" or "[::1]:9470", or "" for none)";
  std::string text;
  if (Status s = read_string(value, path, wanted, text); !s) return s;
  if (!text.empty() && !is_endpoint(text)) return wrong(path, value, wanted);
  config.control.metrics = text;
  return {};
}

// CNI SPEC 1.1.0: network names and container ids.
bool is_name(std::string_view text) {
  const auto alphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return !text.empty() && text.size() <= 255 && alphanumeric(text[0]) &&
         std::all_of(text.begin(), text.end(),
                     [&](char c) { return alphanumeric(c) || c == '_' || c == '.' || c == '-'; });
}

Status parse_name(const Json& value, const std::string& path, Config& config) {
  const std::string wanted =
      "a name of letters, digits, '_', '.' and '-' that starts with a letter or digit";
  std::string text;
  if (Status s = read_string(value, path, wanted, text); !s) return s;
  if (!is_name(text)) return wrong(path, value, wanted);
  config.network.name = text;
  return {};
}

bool is_reserved(const IpPrefix& prefix) {
  static const std::array<IpPrefix, 7> kReserved{
      *parse_prefix("0.0.0.0/8"),   *parse_prefix("127.0.0.0/8"), *parse_prefix("169.254.0.0/16"),
      *parse_prefix("224.0.0.0/3"), *parse_prefix("::/16"),       *parse_prefix("fe80::/10"),
      *parse_prefix("ff00::/8")};
  return std::any_of(kReserved.begin(), kReserved.end(), [&](const IpPrefix& reserved) {
    return contains(reserved, prefix.address) || contains(prefix, reserved.address);
  });
}

// The prefix that `text` would be with its host bits cleared.
std::optional<IpPrefix> without_host_bits(std::string_view text) {
  const size_t slash = text.find('/');
  const auto address = parse_address(text.substr(0, slash));
  if (!address || slash == std::string_view::npos) return std::nullopt;
  for (uint8_t length = 0; length <= address->bits(); ++length) {
    const IpPrefix prefix = make_prefix(*address, length);
    if (std::string(text.substr(slash + 1)) == std::to_string(length)) return prefix;
  }
  return std::nullopt;
}

Status parse_cidr(const Json& value, const std::string& path, IpPrefix& cidr) {
  const std::string wanted = "a range such as \"10.244.0.0/24\" or \"fd00:10:244::/64\"";
  std::string text;
  if (Status s = read_string(value, path, wanted, text); !s) return s;
  const auto cleared = without_host_bits(text);
  if (!cleared) return wrong(path, value, wanted);
  if (!parse_prefix(text)) {
    return complain(path,
                    "has host bits set in \"" + text + "\"; write \"" + to_string(*cleared) + "\"");
  }
  const bool ip4 = cleared->address.is_ip4();
  const int low = ip4 ? kMinLength4 : kMinLength6;
  const int high = ip4 ? kMaxLength4 : kMaxLength6;
  if (cleared->length < low || cleared->length > high) {
    return complain(path, "is \"" + text + "\", but a pod range is from /" + std::to_string(low) +
                              " to /" + std::to_string(high) + "; choose such a length");
  }
  if (is_reserved(*cleared)) {
    return complain(path,
                    "is \"" + text +
                        "\", which pods cannot have (loopback, link-local, multicast or reserved); "
                        "choose a private range such as \"10.244.0.0/24\"");
  }
  cidr = *cleared;
  return {};
}

Status parse_pod_cidrs(const Json& value, const std::string& path, Config& config) {
  if (!value.is_array() || value.empty()) {
    return wrong(path, value, "a list of at least one range, for example [\"10.244.0.0/24\"]");
  }
  std::vector<IpPrefix> cidrs;
  for (size_t i = 0; i < value.size(); ++i) {
    IpPrefix cidr;
    if (Status s = parse_cidr(value[i], element(path, i), cidr); !s) return s;
    for (const IpPrefix& other : cidrs) {
      if (!contains(other, cidr.address) && !contains(cidr, other.address)) continue;
      return complain(element(path, i), "is " + to_string(cidr) + ", which overlaps " +
                                            to_string(other) + "; give disjoint ranges");
    }
    cidrs.push_back(cidr);
  }
  config.network.pod_cidrs = cidrs;
  return {};
}

// Ranges of any addresses; `example` is one.
Status read_ranges(const Json& value, const std::string& path, const std::string& example,
                   std::vector<IpPrefix>& ranges) {
  if (!value.is_array()) {
    return wrong(path, value, "a list of ranges, for example [\"" + example + "\"]");
  }
  const std::string wanted = "a range such as \"" + example + "\"";
  std::vector<IpPrefix> read;
  for (size_t i = 0; i < value.size(); ++i) {
    std::string text;
    if (Status s = read_string(value[i], element(path, i), wanted, text); !s) return s;
    const auto prefix = parse_prefix(text);
    if (!prefix) return wrong(element(path, i), value[i], wanted);
    read.push_back(*prefix);
  }
  ranges = read;
  return {};
}

Status parse_non_masquerade(const Json& value, const std::string& path, Config& config) {
  return read_ranges(value, path, "10.0.0.0/8", config.network.non_masquerade_cidrs);
}

Status parse_max_pods(const Json& value, const std::string& path, Config& config) {
  uint64_t number = 0;
  if (Status status = read_number(value, path, 1, kMaxPods, number); !status) return status;
  config.network.max_pods = static_cast<uint32_t>(number);
  return {};
}

Status parse_mtu(const Json& value, const std::string& path, Config& config) {
  uint64_t number = 0;
  if (Status s = read_number(value, path, kMinMtu, kMaxMtu, number); !s) return s;
  config.network.mtu = static_cast<uint16_t>(number);
  return {};
}

bool is_interface_name(std::string_view text) {
  return !text.empty() && text.size() <= 15 && text != "." && text != ".." &&
         text.find_first_of("/: \t\n\v\f\r%") == std::string_view::npos;
}

Status parse_host_interface(const Json& value, const std::string& path, Config& config) {
  const std::string wanted = "an interface name of 1 to 15 bytes without '/', ':', '%' and spaces";
  std::string text;
  if (Status s = read_string(value, path, wanted, text); !s) return s;
  if (!is_interface_name(text)) return wrong(path, value, wanted);
  config.network.host_interface = text;
  return {};
}

Status parse_socket_mode(const Json& value, const std::string& path, Config& config) {
  const std::string wanted = "permission bits as an octal string, for example \"0660\"";
  std::string text;
  if (Status s = read_string(value, path, wanted, text); !s) return s;
  uint32_t mode = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mode, 8);
  if (error != std::errc{} || end != text.data() + text.size() || mode > 0777 || text.size() < 3) {
    return wrong(path, value, wanted);
  }
  config.network.socket_mode = mode;
  return {};
}

// A user's or group's number in digits.
std::optional<uint32_t> parse_id(const std::string& text) {
  uint32_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return id;
}

std::optional<uid_t> find_user(const std::string& text) {
  if (const auto uid = parse_id(text)) return uid;
  std::vector<char> buffer(1 << 16);
  passwd entry{};
  passwd* found = nullptr;
  getpwnam_r(text.c_str(), &entry, buffer.data(), buffer.size(), &found);
  return found == nullptr ? std::nullopt : std::optional<uid_t>(entry.pw_uid);
}

std::optional<gid_t> find_group(const std::string& text) {
  if (const auto gid = parse_id(text)) return gid;
  std::vector<char> buffer(1 << 16);
  group entry{};
  group* found = nullptr;
  getgrnam_r(text.c_str(), &entry, buffer.data(), buffer.size(), &found);
  return found == nullptr ? std::nullopt : std::optional<gid_t>(entry.gr_gid);
}

Status parse_socket_owner(const Json& value, const std::string& path, Config& config) {
  std::string text;
  if (Status s = read_string(value, path, "a user name such as \"root\"", text); !s) return s;
  const auto uid = find_user(text);
  if (!uid) {
    return complain(path, "names the user " + shown(value) +
                              ", who does not exist; create one with useradd or name another");
  }
  config.network.socket_uid = *uid;
  return {};
}

Status parse_socket_group(const Json& value, const std::string& path, Config& config) {
  std::string text;
  if (Status s = read_string(value, path, "a group name such as \"root\"", text); !s) return s;
  const auto gid = find_group(text);
  if (!gid) {
    return complain(path, "names the group " + shown(value) +
                              ", which does not exist; create it with groupadd or name another");
  }
  config.network.socket_group = text;
  config.network.socket_gid = *gid;
  return {};
}

// Wider than RFC 1123 has node names: zones are label values.
Status parse_node_text(const Json& value, const std::string& path, const std::string& wanted,
                       std::string& out) {
  std::string text;
  if (value == "") return {};
  if (Status s = read_string(value, path, wanted, text); !s) return s;
  if (!is_name(text)) return wrong(path, value, wanted);
  out = text;
  return {};
}

Status parse_node_name(const Json& value, const std::string& path, Config& config) {
  return parse_node_text(value, path,
                         "this node's name in the cluster, or \"\" for the host's name",
                         config.node.name);
}

Status parse_node_zone(const Json& value, const std::string& path, Config& config) {
  return parse_node_text(value, path, "a zone such as \"zone-a\", or \"\" for none",
                         config.node.zone);
}

Status parse_directory(const Json& value, const std::string& path, Config& config) {
  const std::string wanted = "an absolute path, or \"\" for none";
  std::string text;
  if (Status s = read_string(value, path, wanted, text); !s) return s;
  if (!text.empty() && text[0] != '/') return wrong(path, value, wanted);
  config.services.directory = text;
  return {};
}

Status parse_registration(const Json& value, const std::string& path, Config& config) {
  const std::string wanted =
      R"("ADDRESS:PORT" such as "10.244.0.2:9471" or "[fd00::2]:9471", or "" for none)";
  std::string text;
  if (Status s = read_string(value, path, wanted, text); !s) return s;
  if (!text.empty() && !is_endpoint(text)) return wrong(path, value, wanted);
  config.services.registration = text;
  return {};
}

Status parse_cluster_cidrs(const Json& value, const std::string& path, Config& config) {
  return read_ranges(value, path, "10.244.0.0/16", config.services.cluster_cidrs);
}

// Sorted by section: section_names() relies on it.
constexpr std::array kSettings{
    Setting{"dataplane", "workers", parse_workers},
    Setting{"dataplane", "hugepages", parse_hugepages},
    Setting{"dataplane", "memory_mib", parse_memory},
    Setting{"dataplane", "connections", parse_connections},
    Setting{"dataplane", "log_level", parse_dataplane_log},
    Setting{"dataplane", "eal_args", parse_eal_args},
    Setting{"control", "log_level", parse_control_log},
    Setting{"control", "metrics", parse_metrics},
    Setting{"network", "name", parse_name},
    Setting{"network", "pod_cidrs", parse_pod_cidrs},
    Setting{"network", "non_masquerade_cidrs", parse_non_masquerade},
    Setting{"network", "mtu", parse_mtu},
    Setting{"network", "max_pods", parse_max_pods},
    Setting{"network", "host_interface", parse_host_interface},
    Setting{"network", "socket_mode", parse_socket_mode},
    Setting{"network", "socket_owner", parse_socket_owner},
    Setting{"network", "socket_group", parse_socket_group},
    Setting{"network", "uplinks", parse_uplinks},
    Setting{"network", "routes", parse_routes},
    Setting{"network", "kernel_routes", parse_kernel_routes},
    Setting{"node", "name", parse_node_name},
    Setting{"node", "zone", parse_node_zone},
    Setting{"services", "directory", parse_directory},
    Setting{"services", "registration", parse_registration},
    Setting{"services", "cluster_cidrs", parse_cluster_cidrs},
};

std::string core_list(const std::vector<uint32_t>& cores) {
  std::string text;
  for (size_t i = 0; i < cores.size();) {
    size_t end = i + 1;
    while (end < cores.size() && cores[end] == cores[end - 1] + 1) ++end;
    text += (text.empty() ? "" : ",") + std::to_string(cores[i]);
    if (end > i + 1) text += "-" + std::to_string(cores[end - 1]);
    i = end;
  }
  return text;
}

std::string host_name() {
  std::array<char, HOST_NAME_MAX + 1> text{};
  if (gethostname(text.data(), text.size() - 1) != 0 || text[0] == '\0') return "localhost";
  return text.data();
}

Status check_cores(const Config& config) {
  const std::vector<uint32_t> usable = usable_cores();
  for (size_t i = 0; i < config.dataplane.workers.size(); ++i) {
    const uint32_t core = config.dataplane.workers[i];
    if (std::find(usable.begin(), usable.end(), core) != usable.end()) continue;
    return complain(element("dataplane.workers", i),
                    "names core " + std::to_string(core) +
                        ", which this process may not use; choose from " + core_list(usable));
  }
  return {};
}

}  // namespace

std::span<const Setting> settings() { return kSettings; }

Status check_whole(Config& config, const LoadOptions& options) {
  if (config.dataplane.workers.empty()) {
    const std::vector<uint32_t> usable = usable_cores();
    config.dataplane.workers = {usable.empty() ? 0 : usable.back()};
  } else if (options.check_cores) {
    if (Status status = check_cores(config); !status) return status;
  }
  if (config.node.name.empty()) config.node.name = host_name();
  auto& cidrs = config.network.pod_cidrs;
  if (cidrs.empty()) cidrs = {*parse_prefix("10.244.0.0/24"), *parse_prefix("fd00:10:244::/64")};
  const bool ip6 = std::any_of(cidrs.begin(), cidrs.end(),
                               [](const IpPrefix& cidr) { return cidr.address.is_ip6(); });
  if (ip6 && config.network.mtu < kMinMtuIp6) {
    return complain("network.mtu", "is " + std::to_string(config.network.mtu) +
                                       ", but IPv6 needs at least 1280; raise it or take the IPv6 "
                                       "range out of network.pod_cidrs");
  }
  return {};
}

}  // namespace weir::config
