// Services and their endpoints as sources describe them: what weir uses of Kubernetes'
// Service (v1) and EndpointSlice (discovery.k8s.io/v1).
//
// Plain values. Protocols are IANA's numbers, ports are in host order.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "dataplane/api/net.h"

namespace weir::control {

inline constexpr uint8_t kProtocolTcp = 6;
inline constexpr uint8_t kProtocolUdp = 17;
inline constexpr uint8_t kProtocolSctp = 132;

inline constexpr char kDefaultNamespace[] = "default";

struct ObjectName {
  std::string space;  // Kubernetes' namespace
  std::string name;

  auto operator<=>(const ObjectName&) const = default;
};

inline std::string to_string(const ObjectName& name) { return name.space + "/" + name.name; }

using Labels = std::map<std::string, std::string>;

enum class TrafficPolicy : uint8_t { cluster, local };

struct ServicePort {
  std::string name;  // also what an EndpointSlice's port of this service is called
  uint8_t protocol = kProtocolTcp;
  uint16_t port = 0;
  uint16_t node_port = 0;  // 0 = none
  // For endpoints that weir finds itself; slices carry numbers of their own. 0: the port
  // has a name that only the pod's containers could resolve.
  uint16_t target = 0;
  IpAddress host_ip;  // of a host port: none = all addresses of the node

  bool operator==(const ServicePort&) const = default;
};

struct Service {
  ObjectName name;
  std::vector<IpAddress> cluster_ips;
  std::vector<IpAddress> external_ips;
  std::vector<IpAddress> ingress_ips;   // load balancer's
  std::vector<IpPrefix> source_ranges;  // of clients of ingress_ips; empty = all
  std::vector<ServicePort> ports;
  Labels selector;
  TrafficPolicy internal_policy = TrafficPolicy::cluster;
  TrafficPolicy external_policy = TrafficPolicy::cluster;
  uint32_t affinity_seconds = 0;      // 0 = none
  bool affinity_per_service = false;  // else each port has its own
  uint16_t health_check_port = 0;     // 0 = none
  bool host_ports = false;            // its ports are the node's: a pod's "hostPort"s
  std::string skipped;                // why another program serves it; empty = weir does

  bool operator==(const Service&) const = default;
};

struct EndpointPort {
  std::string name;
  uint8_t protocol = kProtocolTcp;
  uint16_t port = 0;

  bool operator==(const EndpointPort&) const = default;
};

struct Endpoint {
  IpAddress address;
  std::string node;  // empty = not known
  std::string zone;
  std::string pod;  // for people
  std::vector<std::string> node_hints;
  std::vector<std::string> zone_hints;
  uint16_t weight = 1;
  bool ready = true;
  bool serving = true;
  bool terminating = false;

  bool operator==(const Endpoint&) const = default;
};

struct EndpointSlice {
  ObjectName name;
  std::string service;  // in the same namespace
  Family family = Family::none;
  std::vector<EndpointPort> ports;
  std::vector<Endpoint> endpoints;

  ObjectName service_name() const { return {name.space, service}; }
  bool operator==(const EndpointSlice&) const = default;
};

struct ServiceObjects {
  std::vector<Service> services;
  std::vector<EndpointSlice> slices;
};

}  // namespace weir::control
