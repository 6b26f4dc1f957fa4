// What an ADD asks for, checked, before anything is changed.
#pragma once

#include <vector>

#include "cni/network_config.h"
#include "cni/request.h"
#include "control/cni/delegate.h"
#include "control/controller.h"

namespace weir::control {

struct AddPlan {
  cni::Environment environment;
  cni::NetworkConfig config;
  Attachment row;          // without id
  bool own_mac = false;    // row.mac was asked for
  bool delegated = false;  // another plugin gives the addresses: no ranges
  RangeSets ranges;
  std::vector<IpAddress> requested;
  std::vector<cni::RouteConfig> routes;
  DelegateCall delegate;
  std::string shared;       // a host-local directory that the addresses are shared with
  std::string device_info;  // file that tells the workload of its port; empty: none wanted
  api::PortLimits limits;   // without key
};

cni::Outcome<AddPlan> plan_add(const Controller& controller, const cni::Request& request);

// Code 7 for an MTU that is less than a family of addresses needs.
std::optional<cni::Error> check_mtu(uint16_t mtu, bool has_ip6);

// The ranges that a configuration allocates from. Code 7.
cni::Outcome<RangeSets> ranges_of(const Controller& controller, const cni::NetworkConfig& config);

}  // namespace weir::control
