// What an attachment got, independent of the protocol version, and its shape in each.
// Source: CNI SPEC 0.1.0 to 1.1.0, "Result"; emits only what a version defines.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cni/error.h"
#include "cni/json.h"
#include "dataplane/api/net.h"

namespace weir::cni {

struct Interface {
  std::string name;
  std::string mac;              // as text, "" = none
  std::string sandbox;          // the container's CNI_NETNS; "" = on the host
  std::optional<uint32_t> mtu;  // from 1.1.0
  std::string socket_path;      // from 1.1.0; memif and vhost-user
  std::string pci_id;           // from 1.1.0
};

struct AddressConfig {
  IpAddress address;
  uint8_t length = 0;                 // prefix bits
  IpAddress gateway;                  // none = absent
  std::optional<uint32_t> interface;  // index into Result::interfaces
};

struct RouteConfig {
  IpPrefix dst;
  IpAddress gw;  // none = absent
  // From 1.1.0. Metric, table and scope as the kernel numbers them.
  std::optional<uint32_t> mtu;
  std::optional<uint32_t> advmss;
  std::optional<uint32_t> priority;
  std::optional<uint32_t> table;
  std::optional<uint32_t> scope;
};

struct Dns {
  std::vector<std::string> nameservers;
  std::string domain;
  std::vector<std::string> search;
  std::vector<std::string> options;

  bool empty() const noexcept {
    return nameservers.empty() && domain.empty() && search.empty() && options.empty();
  }
};

struct Result {
  std::vector<Interface> interfaces;
  std::vector<AddressConfig> ips;
  std::vector<RouteConfig> routes;
  Dns dns;
};

// The result object of `version`. Up to 0.2.0 only the first address of each family
// fits. Indices must be valid: an address with a bad one is emitted without it.
Json render(const Result& result, Version version);

// Reads a result or prevResult of any version; the shape decides, not its cniVersion,
// which runtimes may omit. Code 6 for wrong types and addresses, 7 for an interface
// index that names no interface.
Outcome<Result> parse_result(const Json& object);

// The "dns" object of a configuration or a result.
Outcome<Dns> parse_dns(const Json& object);
// One entry of a list of routes: dst, gw and what 1.1.0 added.
Outcome<RouteConfig> parse_route(const Json& object);

}  // namespace weir::cni
