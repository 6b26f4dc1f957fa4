#include <algorithm>

#include "cni/result.h"

namespace weir::cni {
namespace {

// Sets `key` unless the value is empty: the specification's optional fields.
void set(Json& object, const char* key, const std::string& value) {
  if (!value.empty()) object[key] = value;
}
void set(Json& object, const char* key, const std::vector<std::string>& value) {
  if (!value.empty()) object[key] = value;
}
void set(Json& object, const char* key, const std::optional<uint32_t>& value) {
  if (value) object[key] = *value;
}
void set(Json& object, const char* key, const IpAddress& value) {
  if (!value.is_none()) object[key] = to_string(value);
}
void set(Json& object, const char* key, Json value) {
  if (!value.empty()) object[key] = std::move(value);
}

std::string cidr(const AddressConfig& ip) {
  return to_string(ip.address) + "/" + std::to_string(ip.length);
}

// to_string() of a host prefix may be a bare address; "dst" wants the length always.
std::string cidr(const IpPrefix& prefix) {
  return to_string(prefix.address) + "/" + std::to_string(prefix.length);
}

Json render_dns(const Dns& dns) {
  Json object = Json::object();
  set(object, "nameservers", dns.nameservers);
  set(object, "domain", dns.domain);
  set(object, "search", dns.search);
  set(object, "options", dns.options);
  return object;
}

Json render_route(const RouteConfig& route, Version version) {
  Json object{{"dst", cidr(route.dst)}};
  set(object, "gw", route.gw);
  if (version < Version::v1_1_0) return object;
  set(object, "mtu", route.mtu);
  set(object, "advmss", route.advmss);
  set(object, "priority", route.priority);
  set(object, "table", route.table);
  set(object, "scope", route.scope);
  return object;
}

Json render_interface(const Interface& interface, Version version) {
  Json object{{"name", interface.name}};
  set(object, "mac", interface.mac);
  set(object, "sandbox", interface.sandbox);
  if (version < Version::v1_1_0) return object;
  set(object, "mtu", interface.mtu);
  set(object, "socketPath", interface.socket_path);
  set(object, "pciID", interface.pci_id);
  return object;
}

Json render_address(const AddressConfig& ip, const Result& result, Version version) {
  Json object{{"address", cidr(ip)}};
  if (version < Version::v1_0_0) object["version"] = ip.address.is_ip4() ? "4" : "6";
  set(object, "gateway", ip.gateway);
  if (ip.interface && *ip.interface < result.interfaces.size()) {
    object["interface"] = *ip.interface;
  }
  return object;
}

// "ip4" or "ip6" of 0.1.0 and 0.2.0; empty when the family has no address.
Json render_family(const Result& result, Family family, Version version) {
  Json object = Json::object();
  const auto ip = std::ranges::find_if(
      result.ips, [family](const AddressConfig& one) { return one.address.family == family; });
  if (ip == result.ips.end()) return object;
  object["ip"] = cidr(*ip);
  set(object, "gateway", ip->gateway);
  Json routes = Json::array();
  for (const RouteConfig& route : result.routes) {
    if (route.dst.address.family == family) routes.push_back(render_route(route, version));
  }
  set(object, "routes", std::move(routes));
  return object;
}

}  // namespace

Json render(const Result& result, Version version) {
  Json object{{"cniVersion", to_string(version)}};
  set(object, "dns", render_dns(result.dns));
  if (version <= Version::v0_2_0) {
    set(object, "ip4", render_family(result, Family::ip4, version));
    set(object, "ip6", render_family(result, Family::ip6, version));
    return object;
  }
  Json interfaces = Json::array();
  for (const Interface& one : result.interfaces) {
    interfaces.push_back(render_interface(one, version));
  }
  Json ips = Json::array();
  for (const AddressConfig& one : result.ips) {
    ips.push_back(render_address(one, result, version));
  }
  Json routes = Json::array();
  for (const RouteConfig& one : result.routes) routes.push_back(render_route(one, version));
  set(object, "interfaces", std::move(interfaces));
  set(object, "ips", std::move(ips));
  set(object, "routes", std::move(routes));
  return object;
}

}  // namespace weir::cni
