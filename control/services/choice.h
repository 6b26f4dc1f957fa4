// Which endpoints of a service port get new connections, and why the others do not.
// Semantics: kube-proxy's (KEP-1669 terminating endpoints, KEP-2433 topology hints).
#pragma once

#include <string>
#include <vector>

#include "control/services/object.h"

namespace weir::control {

// What the node itself contributes.
struct NodeFacts {
  std::string name;
  std::string zone;
  std::vector<IpAddress> addresses;    // NodePorts are served there, the gateways included
  std::vector<IpPrefix> pod_prefixes;  // of this node's pods
  std::vector<IpPrefix> inside;        // networks of the cluster's pods and nodes
  std::vector<IpAddress> masquerade;   // one of each family, the gateways
  std::vector<IpPrefix> kept;          // networks beyond uplinks that see pods' own addresses

  bool operator==(const NodeFacts&) const = default;
};

// One endpoint as one port of a service in one family sees it.
struct Candidate {
  const Endpoint* endpoint = nullptr;  // of a slice, valid as long as that
  uint16_t port = 0;
  bool local = false;  // on this node
};

enum class Use : uint8_t {
  ready,        // gets connections
  last_resort,  // terminating but serving: gets them because none is ready
  not_ready,    // the rest gets none
  draining,     // terminating, and others are ready
  other_node,   // hints name other nodes; or, under policy Local, it is elsewhere
  other_zone,
};

inline bool is_used(Use use) { return use == Use::ready || use == Use::last_resort; }
const char* to_text(Use use);

struct Choice {
  std::vector<Use> cluster;  // one for each candidate, under traffic policy Cluster
  std::vector<Use> local;    // under Local
  bool any_cluster = false;  // some candidate is used
  bool any_local = false;
};

// The candidates of `port` in a family, each address and port once. By address, so that
// the order of slices does not matter.
std::vector<Candidate> find_candidates(const ServicePort& port, Family family,
                                       const std::vector<const EndpointSlice*>& slices,
                                       const NodeFacts& node);

Choice choose(const std::vector<Candidate>& candidates, const NodeFacts& node);

}  // namespace weir::control
