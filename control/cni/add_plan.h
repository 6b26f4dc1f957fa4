// What an ADD asks for, checked, before anything is changed.
#pragma once

#include <vector>

#include "cni/network_config.h"
#include "cni/request.h"
#include "control/controller.h"

namespace weir::control {

struct AddPlan {
  cni::Environment environment;
  cni::NetworkConfig config;
  Attachment row;        // without id
  bool own_mac = false;  // row.mac was asked for
  RangeSets ranges;
  std::vector<IpAddress> requested;
  std::vector<cni::RouteConfig> routes;
};

cni::Outcome<AddPlan> plan_add(const Controller& controller, const cni::Request& request);

// The ranges that a configuration allocates from. Code 7.
cni::Outcome<RangeSets> ranges_of(const Controller& controller, const cni::NetworkConfig& config);

}  // namespace weir::control
