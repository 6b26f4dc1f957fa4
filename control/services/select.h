// Pods that join services by their labels.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "control/services/choice.h"

namespace weir::control {

// A pod that is attached here and has labels.
struct LabelledPod {
  ObjectName name;
  Labels labels;
  std::vector<IpAddress> addresses;

  bool operator==(const LabelledPod&) const = default;
};

using LabelledPods = std::map<uint64_t, LabelledPod>;  // by attachment

// "app:web,tier:front" of CNI_ARGS (mark ':') or "app=web,tier=front" of an annotation
// (mark '='). A part without the mark is a label without a value; blanks are ignored.
Labels parse_labels(const std::string& text, char mark);

// True: a pod with these labels belongs to the service. A service without selector has none.
bool selects(const Labels& selector, const Labels& labels);

// A slice for each family that holds the pods of the service; none without a selector.
std::vector<EndpointSlice> select_pods(const Service& service, const LabelledPods& pods,
                                       const NodeFacts& node);

}  // namespace weir::control
