#include "control/services/compile.h"

#include <algorithm>
#include <set>

#include "control/services/parse.h"
#include "dataplane/api/codec.h"
#include "dataplane/api/masquerade.h"

namespace weir::control {

namespace {

constexpr std::array kFamilies{Family::ip4, Family::ip6};

const char* family_text(Family family) { return family == Family::ip4 ? "4" : "6"; }

std::string port_id(const Service& service, const ServicePort& port, Family family) {
  return to_string(service.name) + ":" + std::to_string(port.port) + "/" +
         protocol_text(port.protocol) + "/" + family_text(family);
}

// The records of one port in one family.
class PortCompiler {
 public:
  PortCompiler(const Service& service, const ServicePort& port, Family family,
               std::vector<Candidate> candidates, const NodeFacts& node, CompiledService& out)
      : service_(service),
        port_(port),
        family_(family),
        id_(port_id(service, port, family)),
        candidates_(std::move(candidates)),
        choice_(choose(candidates_, node)),
        out_(out) {}

  void add_cluster_ips();
  void add_external(const std::vector<IpAddress>& addresses, uint16_t port, api::FrontendKind kind,
                    uint64_t ranges);

 private:
  // The group under a policy; made when a frontend first asks for it.
  uint64_t group(TrafficPolicy policy);
  uint64_t affinity() const;
  // Clients are dropped, not refused, when usable endpoints are on other nodes only.
  bool dropped(TrafficPolicy policy) const {
    return policy == TrafficPolicy::local && !choice_.any_local && choice_.any_cluster;
  }
  void add(const IpAddress& address, uint16_t port, api::Frontend frontend);
  api::Frontend frontend(api::FrontendKind kind, TrafficPolicy inside, TrafficPolicy outside);

  const Service& service_;
  const ServicePort& port_;
  const Family family_;
  const std::string id_;
  const std::vector<Candidate> candidates_;
  const Choice choice_;
  CompiledService& out_;
};

const char* policy_text(TrafficPolicy policy) {
  return policy == TrafficPolicy::local ? "local" : "cluster";
}

// Groups are shared by all frontends of the port with the same policy.
uint64_t PortCompiler::group(TrafficPolicy policy) {
  const uint64_t key = stable_number("group " + id_ + "/" + policy_text(policy));
  const auto [place, fresh] = out_.groups.try_emplace(key);
  if (!fresh) return key;
  const std::vector<Use>& uses = policy == TrafficPolicy::local ? choice_.local : choice_.cluster;
  for (size_t i = 0; i < candidates_.size(); ++i) {
    if (!is_used(uses[i])) continue;
    place->second.push_back({.address = candidates_[i].endpoint->address,
                             .port = candidates_[i].port,
                             .weight = candidates_[i].endpoint->weight});
  }
  return key;
}

// The dataplane finds the same pod in whichever group a frontend leads to.
uint64_t PortCompiler::affinity() const {
  if (service_.affinity_seconds == 0) return 0;
  return stable_number("affinity " + (service_.affinity_per_service
                                          ? to_string(service_.name) + "/" + family_text(family_)
                                          : id_));
}

api::Frontend PortCompiler::frontend(api::FrontendKind kind, TrafficPolicy inside,
                                     TrafficPolicy outside) {
  api::Frontend out{.kind = kind,
                    .group_inside = group(inside),
                    .group_outside = group(outside),
                    .affinity = affinity(),
                    .affinity_seconds = service_.affinity_seconds};
  if (dropped(inside)) out.flags |= api::kFrontendDropInside;
  if (dropped(outside)) out.flags |= api::kFrontendDropOutside;
  return out;
}

void PortCompiler::add(const IpAddress& address, uint16_t port, api::Frontend frontend) {
  if (address.family != family_) return;
  frontend.key = {.address = address, .port = port, .protocol = port_.protocol};
  api::set_text(frontend.name, to_string(service_.name) + ":" + port_label(port_));
  out_.frontends.emplace(frontend.key, frontend);
}

// Whoever comes from outside has no way back but through here.
void PortCompiler::add_cluster_ips() {
  for (const IpAddress& address : service_.cluster_ips) {
    if (address.family != family_) continue;
    api::Frontend cluster =
        frontend(api::FrontendKind::cluster_ip, service_.internal_policy, service_.internal_policy);
    cluster.flags |= api::kFrontendMasquerade;
    add(address, port_.port, cluster);
  }
}

// The external policy is for clients outside: those inside get what a load balancer
// that sent them back in would find, any endpoint.
void PortCompiler::add_external(const std::vector<IpAddress>& addresses, uint16_t port,
                                api::FrontendKind kind, uint64_t ranges) {
  for (const IpAddress& address : addresses) {
    if (address.family != family_) continue;
    api::Frontend external = frontend(kind, TrafficPolicy::cluster, service_.external_policy);
    if (service_.external_policy == TrafficPolicy::cluster) {
      external.flags |= api::kFrontendMasquerade;
    }
    external.source_ranges = ranges;
    add(address, port, external);
  }
}

// The set of this family's ranges; 0 when there are none, so nobody is kept out.
uint64_t add_ranges(const Service& service, Family family, CompiledService& out) {
  Prefixes ranges;
  for (const IpPrefix& range : service.source_ranges) {
    if (range.address.family == family) ranges.push_back(range);
  }
  if (ranges.empty()) return 0;
  const uint64_t key =
      stable_number("ranges " + to_string(service.name) + "/" + family_text(family));
  out.sets.emplace(key, std::move(ranges));
  return key;
}

// NodePorts are of the families that the service has; without cluster IPs, of both.
bool serves_family(const Service& service, Family family) {
  const auto same = [family](const IpAddress& address) { return address.family == family; };
  return service.cluster_ips.empty() || std::ranges::any_of(service.cluster_ips, same);
}

// A mapping to one address of the node is served on the gateway too: the node's kernel turns
// packets for it there.
std::vector<IpAddress> host_addresses(const ServicePort& port, const NodeFacts& node) {
  const bool all = port.host_ip == IpAddress{.family = port.host_ip.family};
  if (all) return node.addresses;
  std::vector<IpAddress> addresses = node.masquerade;
  addresses.push_back(port.host_ip);
  return addresses;
}

bool wants_host_port(const ServicePort& port, Family family) {
  return port.host_ip.is_none() || port.host_ip.family == family;
}

void compile_family(const Service& service, Family family,
                    const std::vector<const EndpointSlice*>& slices, const NodeFacts& node,
                    CompiledService& out) {
  // A set that no frontend refers to would only take up room.
  const bool limited = std::ranges::any_of(
      service.ingress_ips, [&](const IpAddress& address) { return address.family == family; });
  const uint64_t ranges = limited ? add_ranges(service, family, out) : 0;
  for (const ServicePort& port : service.ports) {
    PortCompiler compiler(service, port, family, find_candidates(port, family, slices, node), node,
                          out);
    if (service.host_ports) {
      if (!wants_host_port(port, family)) continue;
      compiler.add_external(host_addresses(port, node), port.port, api::FrontendKind::host_port, 0);
      continue;
    }
    compiler.add_cluster_ips();
    compiler.add_external(service.external_ips, port.port, api::FrontendKind::external_ip, 0);
    compiler.add_external(service.ingress_ips, port.port, api::FrontendKind::load_balancer, ranges);
    if (port.node_port == 0 || !serves_family(service, family)) continue;
    compiler.add_external(node.addresses, port.node_port, api::FrontendKind::node_port, 0);
  }
}

// Pods, not ports: kube-proxy reports addresses.
uint32_t count_local_ready(const Service& service, const std::vector<const EndpointSlice*>& slices,
                           const NodeFacts& node) {
  std::set<IpAddress> local;
  for (const Family family : kFamilies) {
    for (const ServicePort& port : service.ports) {
      for (const Candidate& candidate : find_candidates(port, family, slices, node)) {
        if (candidate.local && candidate.endpoint->ready) local.insert(candidate.endpoint->address);
      }
    }
    if (!local.empty()) break;  // the other family's addresses are the same pods'
  }
  return static_cast<uint32_t>(local.size());
}

}  // namespace

uint64_t stable_number(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325;  // FNV-1a, 64 bit
  for (const char c : name) {
    hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  }
  hash ^= hash >> 32;  // FNV leaves its upper bits to long names
  return hash <= api::kKeptSet ? hash + api::kKeptSet + 1 : hash;
}

// For people: in lists of frontends and connections.
std::string port_label(const ServicePort& port) {
  if (!port.name.empty()) return port.name;
  return std::to_string(port.port) + "/" + protocol_text(port.protocol);
}

CompiledService compile(const Service& service, const std::vector<const EndpointSlice*>& slices,
                        const NodeFacts& node) {
  CompiledService out;
  if (!service.skipped.empty()) return out;
  for (const Family family : kFamilies) compile_family(service, family, slices, node, out);
  if (service.health_check_port != 0) out.local_ready = count_local_ready(service, slices, node);
  return out;
}

}  // namespace weir::control
