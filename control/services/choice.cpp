#include "control/services/choice.h"

#include <algorithm>
#include <map>

namespace weir::control {

namespace {

bool is_draining(const Endpoint& endpoint) { return endpoint.serving && endpoint.terminating; }

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

// Slices of other makers may leave the node out; a pod range of this node says it too.
bool is_local(const Endpoint& endpoint, const NodeFacts& node) {
  if (!endpoint.node.empty()) return endpoint.node == node.name;
  return std::ranges::any_of(node.pod_prefixes, [&](const IpPrefix& prefix) {
    return contains(prefix, endpoint.address);
  });
}

enum class Topology : uint8_t { none, node, zone };

// Hints count only when every ready endpoint has one and some are meant for us: half a
// set of hints would send everything to a few.
Topology topology_of(const std::vector<Candidate>& candidates, const NodeFacts& node) {
  bool node_hints = true;
  bool zone_hints = true;
  bool for_node = false;
  bool for_zone = false;
  for (const Candidate& candidate : candidates) {
    const Endpoint& endpoint = *candidate.endpoint;
    if (!endpoint.ready) continue;
    node_hints = node_hints && !endpoint.node_hints.empty();
    zone_hints = zone_hints && !endpoint.zone_hints.empty();
    for_node = for_node || has(endpoint.node_hints, node.name);
    for_zone = for_zone || (!node.zone.empty() && has(endpoint.zone_hints, node.zone));
  }
  if (node_hints && for_node) return Topology::node;
  return zone_hints && for_zone ? Topology::zone : Topology::none;
}

// Told apart for `weirctl service explain` alone: neither gets new connections while another
// endpoint is ready.
Use not_usable(const Endpoint& endpoint) {
  return is_draining(endpoint) ? Use::draining : Use::not_ready;
}

Use cluster_use(const Endpoint& endpoint, Topology topology, const NodeFacts& node) {
  if (!endpoint.ready) return not_usable(endpoint);
  if (topology == Topology::node && !has(endpoint.node_hints, node.name)) return Use::other_node;
  if (topology == Topology::zone && !has(endpoint.zone_hints, node.zone)) return Use::other_zone;
  return Use::ready;
}

Use local_use(const Candidate& candidate) {
  if (!candidate.local) return Use::other_node;
  return candidate.endpoint->ready ? Use::ready : not_usable(*candidate.endpoint);
}

// Without a ready one, those that still serve while they terminate take over.
bool settle(std::vector<Use>& uses) {
  if (std::ranges::find(uses, Use::ready) == uses.end()) {
    std::ranges::replace(uses, Use::draining, Use::last_resort);
  }
  return std::ranges::any_of(uses, is_used);
}

}  // namespace

const char* to_text(Use use) {
  switch (use) {
    case Use::ready: return "used: ready";
    case Use::last_resort: return "used: serves while it terminates, and none is ready";
    case Use::not_ready: return "not ready";
    case Use::draining: return "terminating, and others are ready";
    case Use::other_node: return "on another node";
    case Use::other_zone: break;
  }
  return "hinted for another zone";
}

// In the order of addresses, whatever order slices came in: the same endpoints must make the
// same records, or every change of a slice would be sent as a change of its groups.
std::vector<Candidate> find_candidates(const ServicePort& port, Family family,
                                       const std::vector<const EndpointSlice*>& slices,
                                       const NodeFacts& node) {
  std::map<std::pair<IpAddress, uint16_t>, Candidate> found;
  for (const EndpointSlice* slice : slices) {
    if (slice->family != family) continue;
    const auto match = std::ranges::find_if(slice->ports, [&](const EndpointPort& other) {
      return other.name == port.name && other.protocol == port.protocol;
    });
    if (match == slice->ports.end()) continue;
    for (const Endpoint& endpoint : slice->endpoints) {
      const Candidate candidate{&endpoint, match->port, is_local(endpoint, node)};
      const auto [place, fresh] = found.try_emplace({endpoint.address, match->port}, candidate);
      // A pod that moves between slices stands in two for a moment.
      if (!fresh && endpoint.ready && !place->second.endpoint->ready) place->second = candidate;
    }
  }
  std::vector<Candidate> out;
  out.reserve(found.size());
  for (const auto& [key, candidate] : found) out.push_back(candidate);
  return out;
}

Choice choose(const std::vector<Candidate>& candidates, const NodeFacts& node) {
  Choice choice;
  const Topology topology = topology_of(candidates, node);
  for (const Candidate& candidate : candidates) {
    choice.cluster.push_back(cluster_use(*candidate.endpoint, topology, node));
    choice.local.push_back(local_use(candidate));
  }
  choice.any_cluster = settle(choice.cluster);
  choice.any_local = settle(choice.local);
  return choice;
}

}  // namespace weir::control
