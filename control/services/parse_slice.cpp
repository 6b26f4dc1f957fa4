// EndpointSlice, discovery.k8s.io/v1.
#include "control/services/field.h"
#include "control/services/parse.h"

namespace weir::control {

namespace {

using cni::Json;

constexpr char kServiceLabel[] = "kubernetes.io/service-name";
constexpr int64_t kMaxWeight = 1000;

// Absent means true for ready and serving (the API's contract), false for terminating.
bool condition(const Json& conditions, const char* key, bool absent) {
  const auto value = conditions.find(key);
  return value != conditions.end() && value->is_boolean() ? value->get<bool>() : absent;
}

void read_conditions(cni::FieldReader& reader, Endpoint& endpoint) {
  const Json* conditions = reader.object("conditions");
  if (conditions == nullptr) return;
  endpoint.ready = condition(*conditions, "ready", true);
  endpoint.serving = condition(*conditions, "serving", true);
  endpoint.terminating = condition(*conditions, "terminating", false);
}

// Hints only prefer, so one that makes no sense is passed over; the endpoint is good without.
std::vector<std::string> hint_names(const Json& hints, const char* key) {
  std::vector<std::string> names;
  const auto list = hints.find(key);
  if (list == hints.end() || !list->is_array()) return names;
  for (const Json& hint : *list) {
    const auto name = hint.is_object() ? hint.find("name") : hint.end();
    if (hint.is_object() && name != hint.end() && name->is_string()) names.push_back(*name);
  }
  return names;
}

void read_hints(cni::FieldReader& reader, Endpoint& endpoint) {
  const Json* hints = reader.object("hints");
  if (hints == nullptr) return;
  endpoint.zone_hints = hint_names(*hints, "forZones");
  endpoint.node_hints = hint_names(*hints, "forNodes");
}

// All addresses of an endpoint reach the same pod; like kube-proxy weir uses the first.
IpAddress read_address(cni::FieldReader& reader, const std::string& where, Family family) {
  const auto texts = reader.texts("addresses");
  if (reader.error()) return {};
  const std::string text = texts.empty() ? "" : texts.front();
  const auto address = parse_address(text);
  if (address && address->family == family && is_service_address(*address)) return *address;
  refuse(reader, where + ".addresses[0] is '" + text + "'",
         std::string("give an address of the slice's addressType ") +
             (family == Family::ip4 ? "IPv4" : "IPv6"));
  return {};
}

// `weight` is weir's own: Kubernetes has no weights.
Endpoint read_endpoint(cni::FieldReader& slice, const Json& object, const std::string& where,
                       Family family) {
  cni::FieldReader reader(object, where);
  Endpoint endpoint;
  endpoint.address = read_address(reader, where, family);
  endpoint.node = reader.text("nodeName");
  endpoint.zone = reader.text("zone");
  endpoint.weight = static_cast<uint16_t>(reader.integer("weight", 1, kMaxWeight).value_or(1));
  read_conditions(reader, endpoint);
  read_hints(reader, endpoint);
  if (const Json* target = reader.object("targetRef")) {
    cni::FieldReader fields(*target, where + ".targetRef");
    endpoint.pod = fields.text("name");
  }
  if (reader.error()) slice.fail(*reader.error());
  return endpoint;
}

// A slice without ports is valid: the endpoints of a service without any.
void read_slice_ports(cni::FieldReader& root, EndpointSlice& slice) {
  const Json* ports = bounded_array(root, "ports", "ports", kMaxServicePorts);
  for (size_t i = 0; ports != nullptr && i < ports->size(); ++i) {
    const std::string where = "ports[" + std::to_string(i) + "]";
    cni::FieldReader reader((*ports)[i], where);
    EndpointPort port{.name = reader.text("name")};
    const std::string protocol = reader.text("protocol");
    port.protocol = protocol_of(protocol);
    const auto number = reader.integer("port", 1, UINT16_MAX);
    if (port.protocol == 0) refuse(reader, where + ".protocol is '" + protocol + "'", kProtocols);
    if (reader.error()) root.fail(*reader.error());
    if (!number) continue;  // "all ports", which no service port can mean
    port.port = static_cast<uint16_t>(*number);
    slice.ports.push_back(port);
  }
}

Family family_of(const std::string& type) {
  if (type == "IPv4") return Family::ip4;
  return type == "IPv6" ? Family::ip6 : Family::none;
}

// The label, not the owner: slices made by hand have no owner.
std::string service_of(cni::FieldReader& root) {
  const Json* metadata = root.object("metadata");
  if (metadata == nullptr) return "";
  cni::FieldReader reader(*metadata, "metadata");
  const Labels labels = read_labels(reader, "labels", "metadata.labels");
  if (reader.error()) root.fail(*reader.error());
  const auto found = labels.find(kServiceLabel);
  return found == labels.end() ? "" : found->second;
}

void read_endpoints(cni::FieldReader& root, EndpointSlice& slice) {
  const Json* list = bounded_array(root, "endpoints", "endpoints", kMaxSliceEndpoints);
  for (size_t i = 0; list != nullptr && i < list->size() && !root.error(); ++i) {
    const std::string where = "endpoints[" + std::to_string(i) + "]";
    slice.endpoints.push_back(read_endpoint(root, (*list)[i], where, slice.family));
  }
}

}  // namespace

cni::Outcome<EndpointSlice> parse_slice(const Json& document) {
  const auto name = read_name(document);
  if (!name) return name.error();
  EndpointSlice slice{.name = *name};
  cni::FieldReader root(document, "");
  slice.service = service_of(root);
  if (!root.error() && slice.service.empty()) {
    refuse(root, std::string("metadata.labels has no ") + kServiceLabel,
           "set it to the name of the slice's service");
  }
  const std::string type = root.text("addressType");
  slice.family = family_of(type);
  if (type == "FQDN") return slice;  // no addresses to send packets to
  if (!root.error() && slice.family == Family::none) {
    refuse(root, "addressType is '" + type + "'", "set IPv4 or IPv6");
  }
  read_slice_ports(root, slice);
  read_endpoints(root, slice);
  if (root.error()) return in_object("EndpointSlice", *name, *root.error());
  return slice;
}

}  // namespace weir::control
