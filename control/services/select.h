// What attached pods bring along: labels, by which they join services, and host ports.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "control/services/choice.h"

namespace weir::control {

// A pod that is attached here and has either.
struct AttachedPod {
  ObjectName name;
  Labels labels;
  std::vector<IpAddress> addresses;
  std::vector<ServicePort> host_ports;  // port: the node's, target: the pod's

  bool operator==(const AttachedPod&) const = default;
};

using AttachedPods = std::map<uint64_t, AttachedPod>;  // by attachment

// "app:web,tier:front" of CNI_ARGS (mark ':') or "app=web,tier=front" of an annotation
// (mark '='). A part without the mark is a label without a value; blanks are ignored.
Labels parse_labels(const std::string& text, char mark);

// True: a pod with these labels belongs to the service. A service without selector has none.
bool selects(const Labels& selector, const Labels& labels);

// A slice for each family that holds the pods of the service; none without a selector.
std::vector<EndpointSlice> select_pods(const Service& service, const AttachedPods& pods,
                                       const NodeFacts& node);

// The service that a pod's host ports are, under a name that no service of the API can have.
// Clients keep their addresses: the one endpoint is on this node.
ObjectName host_port_name(uint64_t attachment, const AttachedPod& pod);
ServiceObjects host_port_objects(uint64_t attachment, const AttachedPod& pod,
                                 const NodeFacts& node);

}  // namespace weir::control
