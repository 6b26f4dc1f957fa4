// Service, v1.
#include <algorithm>

#include "control/services/field.h"
#include "control/services/parse.h"

namespace weir::control {

namespace {

using cni::Json;

constexpr uint32_t kDefaultAffinity = 10800;  // Kubernetes' default, three hours
constexpr uint32_t kLongestAffinity = 86400;
// Another program's services (kube-proxy's own labels).
constexpr char kProxyNameLabel[] = "service.kubernetes.io/service-proxy-name";
constexpr char kHeadlessLabel[] = "service.kubernetes.io/headless";
constexpr char kAffinityKey[] = "weir/affinity-key";

// The API's spelling; the compact form is written out in it.
void read_policy(cni::FieldReader& spec, const char* key, TrafficPolicy& policy) {
  const std::string text = spec.text(key);
  if (text == "Local") policy = TrafficPolicy::local;
  if (text.empty() || text == "Cluster" || text == "Local") return;
  refuse(spec, std::string("spec.") + key + " is '" + text + "'", "set Cluster or Local");
}

uint16_t read_port_number(cni::FieldReader& reader, const char* key, int64_t low) {
  return static_cast<uint16_t>(reader.integer(key, low, UINT16_MAX).value_or(0));
}

// A number, a number as text, or a name.
uint16_t read_target(const Json& object, uint16_t fallback) {
  const auto target = object.find("targetPort");
  if (target == object.end() || target->is_null()) return fallback;
  if (target->is_number_integer()) {
    const auto number = target->get<int64_t>();
    if (number == 0) return fallback;
    return number > 0 && number <= UINT16_MAX ? static_cast<uint16_t>(number) : 0;
  }
  return 0;
}

ServicePort read_port(cni::FieldReader& spec, const Json& object, const std::string& where) {
  cni::FieldReader reader(object, where);
  ServicePort port;
  port.name = reader.text("name");
  const std::string protocol = reader.text("protocol");
  port.protocol = protocol_of(protocol);
  port.port = read_port_number(reader, "port", 1);
  port.node_port = read_port_number(reader, "nodePort", 0);
  if (!reader.error()) {
    port.target = read_target(object, port.port);
    if (port.protocol == 0) refuse(reader, where + ".protocol is '" + protocol + "'", kProtocols);
    if (port.port == 0) refuse(reader, where + ".port is missing", "give a port from 1 to 65535");
  }
  if (reader.error()) spec.fail(*reader.error());
  return port;
}

// Kubernetes admits one port for two protocols, for DNS, but never the same pair twice.
void read_ports(cni::FieldReader& spec, Service& service) {
  const Json* ports = bounded_array(spec, "ports", "spec.ports", kMaxServicePorts);
  if (ports == nullptr) return;
  for (size_t i = 0; i < ports->size(); ++i) {
    const std::string where = "spec.ports[" + std::to_string(i) + "]";
    const ServicePort port = read_port(spec, (*ports)[i], where);
    const auto same = [&](const ServicePort& other) {
      return other.port == port.port && other.protocol == port.protocol;
    };
    if (!spec.error() && std::ranges::any_of(service.ports, same)) {
      refuse(spec, where + " is there twice", "give each port and protocol once");
    }
    service.ports.push_back(port);
  }
}

// clusterIP repeats the first of clusterIPs; objects written by hand may have it alone.
void read_cluster_ips(cni::FieldReader& spec, Service& service) {
  const std::string first = spec.text("clusterIP");
  std::vector<std::string> texts = spec.texts("clusterIPs");
  if (texts.empty() && !first.empty()) texts.push_back(first);
  if (!texts.empty() && texts.front() == "None") {
    service.skipped = "it is headless (clusterIP None)";
    return;
  }
  service.cluster_ips = read_addresses(spec, texts, "spec.clusterIPs");
}

void read_ranges(cni::FieldReader& spec, Service& service) {
  const auto texts = spec.texts("loadBalancerSourceRanges");
  if (texts.size() > kMaxSourceRanges) {
    refuse(spec, "spec.loadBalancerSourceRanges has " + std::to_string(texts.size()) + " ranges",
           "give at most " + std::to_string(kMaxSourceRanges));
    return;
  }
  for (const std::string& text : texts) {
    // Kubernetes takes host bits and blanks around a range.
    const auto prefix = lenient_prefix(text);
    if (!prefix) {
      refuse(spec, "spec.loadBalancerSourceRanges holds '" + text + "'",
             "give ranges such as 192.0.2.0/24");
      return;
    }
    service.source_ranges.push_back(*prefix);
  }
}

// Bounds and default are the API's.
void read_affinity(cni::FieldReader& spec, Service& service) {
  const std::string kind = spec.text("sessionAffinity");
  if (!kind.empty() && kind != "None" && kind != "ClientIP") {
    refuse(spec, "spec.sessionAffinity is '" + kind + "'", "set None or ClientIP");
    return;
  }
  if (kind != "ClientIP") return;
  service.affinity_seconds = kDefaultAffinity;
  const Json* config = spec.object("sessionAffinityConfig");
  if (config == nullptr) return;
  cni::FieldReader outer(*config, "spec.sessionAffinityConfig");
  if (const Json* client = outer.object("clientIP")) {
    cni::FieldReader reader(*client, "spec.sessionAffinityConfig.clientIP");
    const auto seconds = reader.integer("timeoutSeconds", 1, kLongestAffinity);
    service.affinity_seconds = static_cast<uint32_t>(seconds.value_or(kDefaultAffinity));
    if (reader.error()) spec.fail(*reader.error());
  }
  if (outer.error()) spec.fail(*outer.error());
}

// A load balancer of mode Proxy wants its packets itself.
void read_ingress(cni::FieldReader& root, Service& service) {
  const Json* status = root.object("status");
  if (status == nullptr) return;
  cni::FieldReader outer(*status, "status");
  const Json* balancer = outer.object("loadBalancer");
  if (outer.error()) root.fail(*outer.error());
  if (balancer == nullptr) return;
  cni::FieldReader reader(*balancer, "status.loadBalancer");
  const Json* list =
      bounded_array(reader, "ingress", "status.loadBalancer.ingress", kMaxServiceAddresses);
  std::vector<std::string> texts;
  for (size_t i = 0; list != nullptr && i < list->size(); ++i) {
    cni::FieldReader entry((*list)[i], "status.loadBalancer.ingress[" + std::to_string(i) + "]");
    const std::string ip = entry.text("ip");
    if (!ip.empty() && entry.text("ipMode") != "Proxy") texts.push_back(ip);
    if (entry.error()) reader.fail(*entry.error());
  }
  service.ingress_ips = read_addresses(reader, texts, "status.loadBalancer.ingress");
  if (reader.error()) root.fail(*reader.error());
}

void read_metadata(cni::FieldReader& root, Service& service) {
  const Json* metadata = root.object("metadata");
  if (metadata == nullptr) return;
  cni::FieldReader reader(*metadata, "metadata");
  const Labels labels = read_labels(reader, "labels", "metadata.labels");
  const Labels annotations = read_labels(reader, "annotations", "metadata.annotations");
  for (const char* label : {kProxyNameLabel, kHeadlessLabel}) {
    if (labels.contains(label)) service.skipped = std::string("it has the label ") + label;
  }
  const auto key = annotations.find(kAffinityKey);
  if (key != annotations.end()) {
    service.affinity_per_service = key->second == "service";
    if (key->second != "service" && key->second != "port") {
      refuse(reader, "metadata.annotations['weir/affinity-key'] is '" + key->second + "'",
             "set service or port");
    }
  }
  if (reader.error()) root.fail(*reader.error());
}

void read_spec(cni::FieldReader& spec, Service& service) {
  if (spec.text("type") == "ExternalName") {
    service.skipped = "it is a name in DNS (type ExternalName)";
    return;
  }
  read_cluster_ips(spec, service);
  read_ports(spec, service);
  service.external_ips = read_addresses(spec, spec.texts("externalIPs"), "spec.externalIPs");
  read_ranges(spec, service);
  service.selector = read_labels(spec, "selector", "spec.selector");
  read_policy(spec, "internalTrafficPolicy", service.internal_policy);
  read_policy(spec, "externalTrafficPolicy", service.external_policy);
  read_affinity(spec, service);
  service.health_check_port = read_port_number(spec, "healthCheckNodePort", 0);
}

}  // namespace

cni::Outcome<Service> parse_service(const Json& document) {
  const auto name = read_name(document);
  if (!name) return name.error();
  Service service{.name = *name};
  cni::FieldReader root(document, "");
  read_metadata(root, service);
  if (const Json* spec = root.object("spec")) {
    cni::FieldReader reader(*spec, "spec");
    read_spec(reader, service);
    if (reader.error()) root.fail(*reader.error());
  }
  read_ingress(root, service);
  if (root.error()) return in_object("Service", *name, *root.error());
  return service;
}

}  // namespace weir::control
