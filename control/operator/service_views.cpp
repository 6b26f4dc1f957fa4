// service.list, service.show, service.explain
#include <algorithm>

#include "control/operator/methods.h"
#include "control/services/parse.h"
#include "dataplane/api/codec.h"

namespace weir::control {

namespace {

using cni::Json;
using Found = ServiceCatalog::Found;

Json texts_of(const std::vector<IpAddress>& addresses) {
  Json list = Json::array();
  for (const IpAddress& address : addresses) list.push_back(to_string(address));
  return list;
}

// "80/tcp", with "@30080" when it is a NodePort too.
std::string port_text(const ServicePort& port) {
  std::string text = std::to_string(port.port) + "/" + protocol_text(port.protocol);
  if (port.node_port != 0) text += "@" + std::to_string(port.node_port);
  return text;
}

const char* to_text(TrafficPolicy policy) {
  return policy == TrafficPolicy::local ? "Local" : "Cluster";
}

const char* to_text(api::FrontendKind kind) {
  switch (kind) {
    case api::FrontendKind::cluster_ip: return "cluster-ip";
    case api::FrontendKind::node_port: return "node-port";
    case api::FrontendKind::external_ip: return "external-ip";
    case api::FrontendKind::load_balancer: return "load-balancer";
    case api::FrontendKind::host_port: return "host-port";
    case api::FrontendKind::none: break;
  }
  return "none";
}

struct EndpointCount {
  size_t used = 0;
  size_t all = 0;
};

// Of the port that has most: ports of one service share their pods.
EndpointCount count_endpoints(const Found& found, const NodeFacts& node) {
  EndpointCount most;
  for (const ServicePort& port : found.service->ports) {
    EndpointCount count;
    for (const Family family : {Family::ip4, Family::ip6}) {
      const auto candidates = find_candidates(port, family, found.slices, node);
      const Choice choice = choose(candidates, node);
      count.all += candidates.size();
      count.used += static_cast<size_t>(std::ranges::count_if(choice.cluster, is_used));
    }
    if (count.all > most.all) most = count;
  }
  return most;
}

// One line of a list.
Json summary(const Found& found, const NodeFacts& node) {
  const Service& service = *found.service;
  Json ports = Json::array();
  for (const ServicePort& port : service.ports) ports.push_back(port_text(port));
  Json external = texts_of(service.external_ips);
  for (const IpAddress& address : service.ingress_ips) external.push_back(to_string(address));
  const EndpointCount count = count_endpoints(found, node);
  return {{"name", to_string(service.name)},
          {"vips", texts_of(service.cluster_ips)},
          {"external", std::move(external)},
          {"ports", std::move(ports)},
          {"endpoints", std::to_string(count.used) + "/" + std::to_string(count.all)},
          {"source", to_text(found.source)},
          {"skipped", service.skipped}};
}

Json backends_json(const CompiledService& compiled, uint64_t group) {
  Json list = Json::array();
  const auto found = compiled.groups.find(group);
  if (found == compiled.groups.end()) return list;
  for (const api::Backend& backend : found->second) {
    Json one{{"address", to_string(backend.address)}, {"port", backend.port}};
    if (backend.weight != 1) one["weight"] = backend.weight;
    list.push_back(std::move(one));
  }
  return list;
}

// The compiled record, not the dataplane's: it is there while that is away.
Json frontend_json(const Controller& controller, const ObjectName& name,
                   const CompiledService& compiled, const api::Frontend& frontend) {
  const ObjectName* owner = controller.services.owner(frontend.key);
  const bool ours = owner != nullptr && *owner == name;
  return {{"address", to_string(frontend.key.address)},
          {"port", frontend.key.port},
          {"protocol", protocol_text(frontend.key.protocol)},
          {"kind", to_text(frontend.kind)},
          {"masquerade", (frontend.flags & api::kFrontendMasquerade) != 0},
          {"drop_inside", (frontend.flags & api::kFrontendDropInside) != 0},
          {"drop_outside", (frontend.flags & api::kFrontendDropOutside) != 0},
          {"taken_by", ours || owner == nullptr ? "" : to_string(*owner)},
          {"inside", backends_json(compiled, frontend.group_inside)},
          {"outside", backends_json(compiled, frontend.group_outside)}};
}

Json details(const Service& service) {
  Json ranges = Json::array();
  for (const IpPrefix& range : service.source_ranges) ranges.push_back(to_string(range));
  Json json{{"internal_policy", to_text(service.internal_policy)},
            {"external_policy", to_text(service.external_policy)},
            {"affinity_seconds", service.affinity_seconds},
            {"affinity_key", service.affinity_per_service ? "service" : "port"},
            {"source_ranges", std::move(ranges)},
            {"selector", service.selector},
            {"health_check_port", service.health_check_port}};
  return json;
}

Json candidate_json(const Candidate& candidate, Use cluster, Use local) {
  const Endpoint& endpoint = *candidate.endpoint;
  return {{"address", to_string(endpoint.address)},
          {"port", candidate.port},
          {"pod", endpoint.pod},
          {"node", endpoint.node},
          {"local", candidate.local},
          {"cluster", control::to_text(cluster)},
          {"local_policy", control::to_text(local)}};
}

// Why a port has no candidate at all.
std::string absence(const Found& found, const ServicePort& port, Family family) {
  if (!found.service->skipped.empty()) return found.service->skipped;
  const bool named = port.target == 0 && !found.service->selector.empty();
  for (const EndpointSlice* slice : found.slices) {
    if (slice->family != family || slice->endpoints.empty()) continue;
    return "no EndpointSlice has a port named '" + port.name + "' with protocol " +
           protocol_text(port.protocol);
  }
  if (named) return "pods' labels cannot serve a target port that is a name: give its number";
  return "no endpoint of this family";
}

Json port_explanation(const Found& found, const ServicePort& port, Family family,
                      const NodeFacts& node) {
  const auto candidates = find_candidates(port, family, found.slices, node);
  const Choice choice = choose(candidates, node);
  Json endpoints = Json::array();
  for (size_t i = 0; i < candidates.size(); ++i) {
    endpoints.push_back(candidate_json(candidates[i], choice.cluster[i], choice.local[i]));
  }
  return {{"port", port_label(port)},
          {"family", family == Family::ip4 ? "IPv4" : "IPv6"},
          {"nobody", candidates.empty() ? absence(found, port, family) : ""},
          {"endpoints", std::move(endpoints)}};
}

// Families in which nobody asks for the service are left out.
bool concerns(const Found& found, Family family) {
  const auto same = [family](const IpAddress& address) { return address.family == family; };
  const Service& service = *found.service;
  return std::ranges::any_of(service.cluster_ips, same) ||
         std::ranges::any_of(service.external_ips, same) ||
         std::ranges::any_of(service.ingress_ips, same) || service.cluster_ips.empty();
}

cni::Outcome<Found> find_service(const Controller& controller, const ObjectName& name) {
  const auto found = controller.services.find(name);
  if (found) return *found;
  return cni::Error{cni::Code::unknown_container, "there is no service " + to_string(name),
                    "'weirctl service list' shows which there are"};
}

}  // namespace

cni::Outcome<Json> list_services(const Controller& controller) {
  Json list = Json::array();
  for (const ObjectName& name : controller.services.names()) {
    const auto found = controller.services.find(name);
    if (found) list.push_back(summary(*found, controller.services.node()));
  }
  return list;
}

cni::Outcome<Json> show_service(const Controller& controller, const Json& params) {
  const auto name = read_service_name(params);
  if (!name) return name.error();
  const auto found = find_service(controller, *name);
  if (!found) return found.error();
  Json json = summary(*found, controller.services.node());
  json.update(details(*found->service));
  Json frontends = Json::array();
  const CompiledService* compiled = controller.services.compiled(*name);
  if (compiled != nullptr) {
    for (const auto& [key, frontend] : compiled->frontends) {
      frontends.push_back(frontend_json(controller, *name, *compiled, frontend));
    }
  }
  json["frontends"] = std::move(frontends);
  return json;
}

cni::Outcome<Json> explain_service(const Controller& controller, const Json& params) {
  const auto name = read_service_name(params);
  if (!name) return name.error();
  const auto found = find_service(controller, *name);
  if (!found) return found.error();
  const NodeFacts& node = controller.services.node();
  Json ports = Json::array();
  for (const ServicePort& port : found->service->ports) {
    for (const Family family : {Family::ip4, Family::ip6}) {
      if (concerns(*found, family)) {
        ports.push_back(port_explanation(*found, port, family, node));
      }
    }
  }
  return Json{{"name", to_string(*name)},
              {"node", node.name},
              {"zone", node.zone},
              {"skipped", found->service->skipped},
              {"internal_policy", to_text(found->service->internal_policy)},
              {"external_policy", to_text(found->service->external_policy)},
              {"ports", std::move(ports)}};
}

}  // namespace weir::control
