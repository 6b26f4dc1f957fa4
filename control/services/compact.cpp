#include "control/services/compact.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "control/services/field.h"
#include "control/services/parse.h"

namespace weir::control {

namespace {

using cni::Json;

constexpr std::array kKeys{
    "name",
    "namespace",
    "vips",
    "ports",
    "backends",
    "external_ips",
    "ingress_ips",
    "selector",
    "source_ranges",
    "affinity_seconds",
    "affinity_key",
    "internal_policy",
    "external_policy",
    "health_check_port",
};
constexpr std::array kBackendKeys{"address", "weight",  "node",       "zone",
                                  "ready",   "serving", "terminating"};
constexpr char kPortForm[] =
    "write PORT[/PROTOCOL][->TARGET][@NODEPORT], for example 80/tcp->8080 or 53/udp";

// The form is weir's own, so an unknown key is a slip of the hand, never a newer version's.
template <size_t N>
void check_keys(const Json& object, const std::array<const char*, N>& keys,
                const std::string& where, cni::FieldReader& reader) {
  for (const auto& [key, value] : object.items()) {
    if (std::ranges::find(keys, key) != keys.end()) continue;
    std::string known;
    for (const char* name : keys) known += (known.empty() ? "" : ", ") + std::string(name);
    refuse(reader, where + "." + key + " is not a known key", "use one of: " + known);
    return;
  }
}

std::optional<uint16_t> port_number(std::string_view text) {
  uint16_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number == 0) return std::nullopt;
  return number;
}

// Cuts off what follows `mark`; nullopt when the mark is not there.
std::optional<std::string> cut(std::string& text, const std::string& mark) {
  const size_t at = text.find(mark);
  if (at == std::string::npos) return std::nullopt;
  std::string rest = text.substr(at + mark.size());
  text.resize(at);
  return rest;
}

struct PortText {
  uint16_t port = 0;
  uint16_t target = 0;
  uint16_t node_port = 0;
  std::string protocol = "TCP";
};

// From the right, as each mark ends what stands before it.
std::optional<PortText> read_port_text(std::string text) {
  PortText out;
  const auto node = cut(text, "@");
  const auto target = cut(text, "->");
  const auto protocol = cut(text, "/");
  const auto port = port_number(text);
  if (!port) return std::nullopt;
  const auto target_number = target ? port_number(*target) : port;
  const auto node_number = node ? port_number(*node) : std::optional<uint16_t>(0);
  const uint8_t number = protocol_of(protocol.value_or("TCP"));
  if (!target_number || !node_number || number == 0) return std::nullopt;
  out.port = *port;
  out.target = *target_number;
  out.node_port = *node_number;
  out.protocol = protocol_text(number);
  std::ranges::transform(out.protocol, out.protocol.begin(), ::toupper);
  return out;
}

// Service ports and those of slices have one name, so that they find each other.
std::string port_name(const PortText& port) {
  std::string protocol = port.protocol;
  std::ranges::transform(protocol, protocol.begin(), ::tolower);
  return std::to_string(port.port) + "-" + protocol;
}

struct Ports {
  Json service = Json::array();
  Json slice = Json::array();
};

Ports read_ports(cni::FieldReader& reader, const std::string& where) {
  Ports ports;
  const auto texts = reader.texts("ports");
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto port = read_port_text(texts[i]);
    if (!port) {
      refuse(reader, where + ".ports[" + std::to_string(i) + "] is '" + texts[i] + "'", kPortForm);
      return ports;
    }
    const std::string name = port_name(*port);
    ports.service.push_back({{"name", name},
                             {"protocol", port->protocol},
                             {"port", port->port},
                             {"targetPort", port->target},
                             {"nodePort", port->node_port}});
    ports.slice.push_back({{"name", name}, {"protocol", port->protocol}, {"port", port->target}});
  }
  return ports;
}

// Conditions that are not given stay out: their absence means ready.
Json endpoint_of(cni::FieldReader& reader, const Json& backend, const std::string& where) {
  if (backend.is_string()) return {{"addresses", Json::array({backend})}};
  cni::FieldReader fields(backend, where);
  if (backend.is_object()) check_keys(backend, kBackendKeys, where, fields);
  Json endpoint{{"addresses", Json::array({fields.text("address")})}};
  if (const auto weight = fields.integer("weight", 1, 1000)) endpoint["weight"] = *weight;
  if (const std::string node = fields.text("node"); !node.empty()) endpoint["nodeName"] = node;
  if (const std::string zone = fields.text("zone"); !zone.empty()) endpoint["zone"] = zone;
  for (const char* key : {"ready", "serving", "terminating"}) {
    const bool value = fields.boolean(key);
    const auto given = backend.is_object() ? backend.find(key) : backend.end();
    if (given != backend.end() && !given->is_null()) endpoint["conditions"][key] = value;
  }
  if (fields.error()) reader.fail(*fields.error());
  return endpoint;
}

// By family; what is no address goes to IPv4, whose parser refuses it.
struct Endpoints {
  Json ip4 = Json::array();
  Json ip6 = Json::array();
};

Endpoints read_backends(cni::FieldReader& reader, const std::string& where) {
  Endpoints out;
  const Json* list = bounded_array(reader, "backends", where + ".backends", kMaxSliceEndpoints);
  for (size_t i = 0; list != nullptr && i < list->size(); ++i) {
    Json endpoint = endpoint_of(reader, (*list)[i], where + ".backends[" + std::to_string(i) + "]");
    const std::string address = endpoint["addresses"][0].get<std::string>();
    const bool ip6 = address.find(':') != std::string::npos;
    (ip6 ? out.ip6 : out.ip4).push_back(std::move(endpoint));
  }
  return out;
}

// "local" as well as "Local"; the parser of Services refuses what is neither.
std::string policy_of(cni::FieldReader& reader, const char* key) {
  std::string text = reader.text(key);
  if (!text.empty()) text[0] = static_cast<char>(::toupper(text[0]));
  return text;
}

Json ingress_of(const std::vector<std::string>& addresses) {
  Json list = Json::array();
  for (const std::string& address : addresses) list.push_back({{"ip", address}});
  return list;
}

// What the form shares with Kubernetes is checked by the parser of Services alone, so that both
// forms are refused for the same reasons.
Json spec_of(cni::FieldReader& reader, Json ports) {
  Json spec{{"clusterIPs", reader.texts("vips")},
            {"ports", std::move(ports)},
            {"externalIPs", reader.texts("external_ips")},
            {"loadBalancerSourceRanges", reader.texts("source_ranges")},
            {"internalTrafficPolicy", policy_of(reader, "internal_policy")},
            {"externalTrafficPolicy", policy_of(reader, "external_policy")}};
  if (const Json* selector = reader.object("selector")) spec["selector"] = *selector;
  if (const auto port = reader.integer("health_check_port", 1, UINT16_MAX))
    spec["healthCheckNodePort"] = *port;
  if (const auto seconds = reader.integer("affinity_seconds", 0, 86400); seconds && *seconds > 0) {
    spec["sessionAffinity"] = "ClientIP";
    spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"] = *seconds;
  }
  return spec;
}

// Its name holds the family, so that the same document applied again replaces it.
Json slice_of(const Json& metadata, const char* type, const Json& ports, Json endpoints) {
  const std::string service = metadata["name"].get<std::string>();
  const char* suffix = std::string_view(type) == "IPv4" ? "-compact-4" : "-compact-6";
  return {{"apiVersion", "discovery.k8s.io/v1"},
          {"kind", "EndpointSlice"},
          {"metadata",
           {{"name", service + suffix},
            {"namespace", metadata["namespace"]},
            {"labels", {{"kubernetes.io/service-name", service}}}}},
          {"addressType", type},
          {"ports", ports},
          {"endpoints", std::move(endpoints)}};
}

}  // namespace

bool is_compact(const Json& document) {
  return document.is_object() && !document.contains("kind") && document.contains("ports");
}

cni::Outcome<std::vector<Json>> expand_compact(const Json& document, const std::string& where) {
  cni::FieldReader reader(document, where);
  check_keys(document, kKeys, where, reader);
  Ports ports = read_ports(reader, where);
  Endpoints endpoints = read_backends(reader, where);
  std::string space = reader.text("namespace");
  Json metadata{{"name", reader.text("name")},
                {"namespace", space.empty() ? "default" : std::move(space)}};
  Json service{{"apiVersion", "v1"}, {"kind", "Service"}, {"metadata", metadata}};
  if (const std::string key = reader.text("affinity_key"); !key.empty())
    service["metadata"]["annotations"]["weir/affinity-key"] = key;
  service["spec"] = spec_of(reader, std::move(ports.service));
  service["status"]["loadBalancer"]["ingress"] = ingress_of(reader.texts("ingress_ips"));
  if (reader.error()) return *reader.error();
  return std::vector<Json>{std::move(service),
                           slice_of(metadata, "IPv4", ports.slice, std::move(endpoints.ip4)),
                           slice_of(metadata, "IPv6", ports.slice, std::move(endpoints.ip6))};
}

}  // namespace weir::control
