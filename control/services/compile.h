// From a service and its endpoints to what the dataplane balances, for one node.
//
// Pure: the same objects give the same records, numbers included, so that a restart of
// weir-control changes nothing in a running dataplane.
#pragma once

#include <string_view>

#include "control/dataplane/service_plan.h"
#include "control/services/choice.h"

namespace weir::control {

// One service's share of the plan. Empty for one that is skipped.
struct CompiledService {
  std::map<uint64_t, Prefixes> sets;
  std::map<uint64_t, Backends> groups;
  std::map<api::FrontendKey, api::Frontend, FrontendKeyLess> frontends;
  uint32_t local_ready = 0;  // endpoints on this node, for the health check
};

CompiledService compile(const Service& service, const std::vector<const EndpointSlice*>& slices,
                        const NodeFacts& node);

// Numbers of groups, prefix sets and affinities: a hash of what they are for.
uint64_t stable_number(std::string_view name);

// "http" or "80/tcp" when the port has no name.
std::string port_label(const ServicePort& port);

}  // namespace weir::control
