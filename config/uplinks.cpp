// network.uplinks and network.routes
#include <algorithm>
#include <charconv>
#include <set>

#include "config/settings.h"
#include "dataplane/api/protocol.h"

namespace weir::config {

namespace {

constexpr size_t kMaxName = 63;
constexpr size_t kMaxDevargs = 127;
constexpr size_t kMaxUplinks = 32;  // devices that Debian's DPDK has room for
constexpr uint64_t kMaxQueues = 64;
constexpr uint64_t kMaxWeight = 256;

using Read = Status (*)(const Json& value, const std::string& path, UplinkConfig& uplink);

Status read_name(const Json& value, const std::string& path, UplinkConfig& uplink) {
  const std::string wanted = "a name of 1 to 63 bytes, for example \"fabric\"";
  if (Status s = read_string(value, path, wanted, uplink.name); !s) return s;
  return uplink.name.empty() || uplink.name.size() > kMaxName ? wrong(path, value, wanted) : Status();
}

Status read_devargs(const Json& value, const std::string& path, UplinkConfig& uplink) {
  const std::string wanted = "DPDK's devargs of 1 to 127 bytes, for example \"0000:01:00.0\" or "
                             "\"net_af_packet0,iface=eth1\"";
  if (Status s = read_string(value, path, wanted, uplink.devargs); !s) return s;
  return uplink.devargs.empty() || uplink.devargs.size() > kMaxDevargs ? wrong(path, value, wanted) : Status();
}

// "192.0.2.1/24": the host's address and its network's length.
std::optional<InterfaceAddress> parse_interface_address(const std::string& text) {
  const size_t slash = text.find('/');
  const auto address = parse_address(text.substr(0, slash));
  if (!address || slash == std::string::npos) return std::nullopt;
  InterfaceAddress out{.address = *address};
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + slash + 1, end, out.length);
  if (error != std::errc{} || stop != end || out.length > address->bits()) return std::nullopt;
  return out;
}

Status read_addresses(const Json& value, const std::string& path, UplinkConfig& uplink) {
  const std::string wanted = "at most one IPv4 and one IPv6 address, each with the length of its network, "
                             "for example [\"192.0.2.1/24\", \"2001:db8::1/64\"]";
  if (!value.is_array() || value.empty() || value.size() > 2) return wrong(path, value, wanted);
  for (size_t i = 0; i < value.size(); ++i) {
    std::string text;
    if (Status s = read_string(value[i], element(path, i), wanted, text); !s) return s;
    const auto address = parse_interface_address(text);
    const bool again = address && std::ranges::any_of(uplink.addresses, [&](const InterfaceAddress& other) {
                         return other.address.family == address->address.family;
                       });
    if (!address || again) return wrong(element(path, i), value[i], wanted);
    uplink.addresses.push_back(*address);
  }
  return {};
}

Status read_uplink_mtu(const Json& value, const std::string& path, UplinkConfig& uplink) {
  uint64_t number = 0;
  if (Status s = read_number(value, path, kMinMtu, kMaxMtu, number); !s) return s;
  uplink.mtu = static_cast<uint16_t>(number);
  return {};
}

Status read_queues(const Json& value, const std::string& path, UplinkConfig& uplink) {
  uint64_t number = 0;
  if (Status s = read_number(value, path, 1, kMaxQueues, number); !s) return s;
  uplink.queues = static_cast<uint16_t>(number);
  return {};
}

Status read_default_route(const Json& value, const std::string& path, UplinkConfig& uplink) {
  if (!value.is_boolean()) return wrong(path, value, "true or false");
  uplink.default_route = value.get<bool>();
  return {};
}

struct UplinkKey {
  std::string_view name;
  Read read;
};
constexpr std::array kUplinkKeys{UplinkKey{"name", read_name}, UplinkKey{"devargs", read_devargs},
                                 UplinkKey{"addresses", read_addresses}, UplinkKey{"mtu", read_uplink_mtu},
                                 UplinkKey{"queues", read_queues}, UplinkKey{"default_route", read_default_route}};

Status read_uplink(const Json& value, const std::string& path, UplinkConfig& uplink) {
  const std::string wanted = R"(an object with name, devargs and addresses)";
  if (!value.is_object()) return wrong(path, value, wanted);
  for (const auto& [name, item] : value.items()) {
    const auto known = std::ranges::find(kUplinkKeys, std::string_view(name), &UplinkKey::name);
    if (known == kUplinkKeys.end()) {
      return complain(path + "." + name, "is not a known key; use name, devargs, addresses, mtu, queues or default_route");
    }
    if (Status s = known->read(item, path + "." + name, uplink); !s) return s;
  }
  if (uplink.name.empty() || uplink.devargs.empty() || uplink.addresses.empty()) return wrong(path, value, wanted);
  return {};
}

}  // namespace

Status parse_uplinks(const Json& value, const std::string& path, Config& config) {
  if (!value.is_array() || value.size() > kMaxUplinks) {
    return wrong(path, value, "a list of at most 32 uplinks, [] for none");
  }
  std::set<std::string> names;
  for (size_t i = 0; i < value.size(); ++i) {
    UplinkConfig uplink;
    if (Status s = read_uplink(value[i], element(path, i), uplink); !s) return s;
    if (!names.insert(uplink.name).second) {
      return complain(element(path, i) + ".name", "is \"" + uplink.name + "\" again; give each uplink its own");
    }
    config.network.uplinks.push_back(std::move(uplink));
  }
  return {};
}

namespace {

// "192.0.2.2", or {"address": "192.0.2.2", "weight": 2}.
Status read_next_hop(const Json& value, const std::string& path, RouteConfig& route) {
  const std::string wanted = R"(an address such as "192.0.2.2", or an object such as {"address": "192.0.2.2", "weight": 2})";
  std::string text;
  const bool plain = value.is_string();
  if (!plain && (!value.is_object() || value.size() != 2 || !value.contains("address") || !value.contains("weight"))) {
    return wrong(path, value, wanted);
  }
  if (Status s = read_string(plain ? value : value["address"], path, wanted, text); !s) return s;
  uint64_t weight = 1;
  if (!plain) {
    if (Status s = read_number(value["weight"], path + ".weight", 1, kMaxWeight, weight); !s) return s;
  }
  const auto address = parse_address(text);
  if (!address) return wrong(path, value, wanted);
  if (std::ranges::find(route.via, *address, &NextHopConfig::address) != route.via.end()) {
    return complain(path, "is " + text + " again; give it a weight to have more flows there");
  }
  route.via.push_back({*address, static_cast<uint16_t>(weight)});
  return {};
}

Status read_via(const Json& value, const std::string& path, RouteConfig& route) {
  if (!value.is_array()) return read_next_hop(value, path, route);
  if (value.empty() || value.size() > api::kMaxNextHops) return wrong(path, value, "a next hop or a list of 1 to 8");
  for (size_t i = 0; i < value.size(); ++i) {
    if (Status s = read_next_hop(value[i], element(path, i), route); !s) return s;
  }
  return {};
}

Status read_route_prefix(const Json& value, const std::string& path, RouteConfig& route) {
  const std::string wanted = "a prefix such as \"10.244.1.0/24\"";
  std::string text;
  if (Status s = read_string(value, path, wanted, text); !s) return s;
  const auto prefix = parse_prefix(text);
  if (!prefix) return wrong(path, value, wanted);
  route.prefix = *prefix;
  return {};
}

Status read_route(const Json& value, const std::string& path, RouteConfig& route) {
  const std::string wanted = R"(an object with prefix and via, for example {"prefix": "10.244.1.0/24", "via": "192.0.2.2"})";
  if (!value.is_object()) return wrong(path, value, wanted);
  for (const auto& [name, item] : value.items()) {
    if (name == "via") {
      if (Status s = read_via(item, path + ".via", route); !s) return s;
    } else if (name == "prefix") {
      if (Status s = read_route_prefix(item, path + ".prefix", route); !s) return s;
    } else {
      return complain(path + "." + name, "is not a known key; use prefix and via");
    }
  }
  const auto same_family = [&](const NextHopConfig& hop) { return hop.address.family == route.prefix.address.family; };
  if (route.via.empty() || !std::ranges::all_of(route.via, same_family)) return wrong(path, value, wanted);
  return {};
}

}  // namespace

Status parse_routes(const Json& value, const std::string& path, Config& config) {
  if (!value.is_array()) return wrong(path, value, "a list of routes, [] for none");
  for (size_t i = 0; i < value.size(); ++i) {
    RouteConfig route;
    if (Status s = read_route(value[i], element(path, i), route); !s) return s;
    const auto same = [&](const RouteConfig& other) { return other.prefix == route.prefix; };
    if (std::ranges::any_of(config.network.routes, same)) {
      return complain(element(path, i), "has the prefix " + to_string(route.prefix) + " again; remove one of them");
    }
    config.network.routes.push_back(std::move(route));
  }
  return {};
}

}  // namespace weir::config
