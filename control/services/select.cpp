#include "control/services/select.h"

#include <algorithm>

namespace weir::control {

namespace {

std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// Under the names of the service's ports, by which endpoints are found.
std::vector<EndpointPort> target_ports(const Service& service) {
  std::vector<EndpointPort> ports;
  for (const ServicePort& port : service.ports) {
    if (port.target == 0) continue;  // its name is known to the container runtime alone
    ports.push_back({.name = port.name, .protocol = port.protocol, .port = port.target});
  }
  return ports;
}

}  // namespace

// Never an error: labels come with an ADD, and a slip in one must not keep a pod from starting.
Labels parse_labels(const std::string& text, char mark) {
  Labels labels;
  size_t begin = 0;
  while (begin < text.size()) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    const size_t at = part.find(mark);
    const std::string key = trimmed(part.substr(0, at));
    if (!key.empty()) {
      labels[key] = at == std::string::npos ? "" : trimmed(part.substr(at + 1));
    }
    begin = end + 1;
  }
  return labels;
}

// An empty selector selects nobody, as in Kubernetes, where such services have endpoints of
// their own: all pods of the namespace would be the worst guess.
bool selects(const Labels& selector, const Labels& labels) {
  const auto matches = [&](const auto& wanted) {
    const auto found = labels.find(wanted.first);
    return found != labels.end() && found->second == wanted.second;
  };
  return !selector.empty() && std::ranges::all_of(selector, matches);
}

std::vector<EndpointSlice> select_pods(const Service& service, const AttachedPods& pods,
                                       const NodeFacts& node) {
  if (service.selector.empty()) return {};
  std::vector<EndpointSlice> slices;
  for (const Family family : {Family::ip4, Family::ip6}) {
    EndpointSlice slice{.name = {service.name.space, service.name.name + "-labels"},
                        .service = service.name.name,
                        .family = family,
                        .ports = target_ports(service)};
    for (const auto& [attachment, pod] : pods) {
      if (pod.name.space != service.name.space || !selects(service.selector, pod.labels)) continue;
      for (const IpAddress& address : pod.addresses) {
        if (address.family != family) continue;
        slice.endpoints.push_back(
            {.address = address, .node = node.name, .zone = node.zone, .pod = pod.name.name});
      }
    }
    if (!slice.endpoints.empty()) slices.push_back(std::move(slice));
  }
  return slices;
}

// '@' is in no name of Kubernetes, so no object of a user meets this one. With the attachment's
// number, as a restarted pod may be attached before its former self is gone.
ObjectName host_port_name(uint64_t attachment, const AttachedPod& pod) {
  return {"@pods", pod.name.space + "." + pod.name.name + "." + std::to_string(attachment)};
}

// Policy Local: a mapping leads to this pod, and its clients are seen with their own addresses.
ServiceObjects host_port_objects(uint64_t attachment, const AttachedPod& pod,
                                 const NodeFacts& node) {
  ServiceObjects objects;
  const ObjectName name = host_port_name(attachment, pod);
  objects.services.push_back({.name = name,
                              .ports = pod.host_ports,
                              .external_policy = TrafficPolicy::local,
                              .host_ports = true});
  for (const IpAddress& address : pod.addresses) {
    const char* suffix = address.is_ip4() ? "-4" : "-6";
    EndpointSlice slice{.name = {name.space, name.name + suffix},
                        .service = name.name,
                        .family = address.family,
                        .ports = target_ports(objects.services.back())};
    slice.endpoints.push_back({.address = address, .node = node.name, .pod = pod.name.name});
    objects.slices.push_back(std::move(slice));
  }
  return objects;
}

}  // namespace weir::control
