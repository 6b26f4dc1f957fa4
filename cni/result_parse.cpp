#include <charconv>

#include "cni/result.h"

namespace weir::cni {
namespace {

Error decoding_error(std::string msg) { return {Code::decoding_failure, std::move(msg), {}}; }

struct Cidr {
  IpAddress address;
  uint8_t length = 0;
};

// Unlike parse_prefix, keeps host bits and demands a length.
std::optional<Cidr> parse_cidr(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == text.npos) return std::nullopt;
  const std::optional<IpAddress> address = parse_address(text.substr(0, slash));
  if (!address) return std::nullopt;
  unsigned length = 0;
  const char* end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data() + slash + 1, end, length);
  if (problem != std::errc() || stop != end || length > address->bits()) return std::nullopt;
  return Cidr{*address, static_cast<uint8_t>(length)};
}

std::optional<uint32_t> number(FieldReader& reader, const char* key) {
  const std::optional<int64_t> value = reader.integer(key, 0, UINT32_MAX);
  if (!value) return std::nullopt;
  return static_cast<uint32_t>(*value);
}

IpAddress optional_address(FieldReader& reader, const char* key) {
  const std::string text = reader.text(key);
  if (text.empty()) return {};
  const std::optional<IpAddress> address = parse_address(text);
  if (!address) reader.fail(decoding_error(std::string(key) + " \"" + text + "\" is no address"));
  return address.value_or(IpAddress{});
}

Cidr required_cidr(FieldReader& reader, const char* key) {
  const std::string text = reader.text(key);
  const std::optional<Cidr> cidr = parse_cidr(text);
  if (!cidr) {
    reader.fail(decoding_error(std::string(key) + " \"" + text + "\" is no address/length"));
  }
  return cidr.value_or(Cidr{});
}

Outcome<Interface> parse_interface(const Json& object) {
  FieldReader reader(object, "interfaces[]");
  Interface interface;
  interface.name = reader.text("name");
  interface.mac = reader.text("mac");
  interface.sandbox = reader.text("sandbox");
  interface.mtu = number(reader, "mtu");
  interface.socket_path = reader.text("socketPath");
  interface.pci_id = reader.text("pciID");
  if (reader.error()) return *reader.error();
  return interface;
}

Outcome<AddressConfig> parse_ip(const Json& object) {
  FieldReader reader(object, "ips[]");
  const Cidr cidr = required_cidr(reader, "address");
  AddressConfig ip{cidr.address, cidr.length, {}, {}};
  ip.gateway = optional_address(reader, "gateway");
  ip.interface = number(reader, "interface");
  if (reader.error()) return *reader.error();
  return ip;
}

// Appends every entry of the list `key` as `parse` reads it.
template <class T, class Parse>
void append_list(FieldReader& reader, const char* key, std::vector<T>& to, Parse parse) {
  const Json* list = reader.array(key);
  if (list == nullptr) return;
  for (const Json& entry : *list) {
    Outcome<T> one = parse(entry);
    if (!one) return reader.fail(one.error());
    to.push_back(*std::move(one));
  }
}

// "ip4" or "ip6" of 0.1.0 and 0.2.0.
void append_family(FieldReader& outer, const char* key, Result& result) {
  const Json* family = outer.object(key);
  if (family == nullptr) return;
  FieldReader reader(*family, key);
  const Cidr cidr = required_cidr(reader, "ip");
  result.ips.push_back({cidr.address, cidr.length, optional_address(reader, "gateway"), {}});
  append_list(reader, "routes", result.routes, parse_route);
  if (reader.error()) outer.fail(*reader.error());
}

std::optional<Error> check_indices(const Result& result) {
  for (const AddressConfig& ip : result.ips) {
    if (ip.interface && *ip.interface >= result.interfaces.size()) {
      return Error{Code::invalid_config,
                   "ips[].interface " + std::to_string(*ip.interface) + " names no interface",
                   {}};
    }
  }
  return std::nullopt;
}

}  // namespace

Outcome<RouteConfig> parse_route(const Json& object) {
  FieldReader reader(object, "routes[]");
  const Cidr dst = required_cidr(reader, "dst");
  RouteConfig route;
  route.dst = make_prefix(dst.address, dst.length);
  route.gw = optional_address(reader, "gw");
  route.mtu = number(reader, "mtu");
  route.advmss = number(reader, "advmss");
  route.priority = number(reader, "priority");
  route.table = number(reader, "table");
  route.scope = number(reader, "scope");
  if (reader.error()) return *reader.error();
  return route;
}

Outcome<Dns> parse_dns(const Json& object) {
  FieldReader reader(object, "dns");
  Dns dns{reader.texts("nameservers"), reader.text("domain"), reader.texts("search"),
          reader.texts("options")};
  if (reader.error()) return *reader.error();
  return dns;
}

Outcome<Result> parse_result(const Json& object) {
  FieldReader reader(object, "result");
  Result result;
  append_family(reader, "ip4", result);
  append_family(reader, "ip6", result);
  append_list(reader, "interfaces", result.interfaces, parse_interface);
  append_list(reader, "ips", result.ips, parse_ip);
  append_list(reader, "routes", result.routes, parse_route);
  if (const Json* dns = reader.object("dns")) {
    Outcome<Dns> parsed = parse_dns(*dns);
    if (!parsed) return parsed.error();
    result.dns = *std::move(parsed);
  }
  if (reader.error()) return *reader.error();
  if (auto error = check_indices(result)) return *error;
  return result;
}

}  // namespace weir::cni
