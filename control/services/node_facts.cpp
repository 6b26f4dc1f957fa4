// What the node itself contributes to its services.
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>

#include "control/services/masquerade.h"
#include "control/services/parse.h"
#include "control/services/sources.h"

namespace weir::control {

namespace {

struct FreeList {
  void operator()(ifaddrs* list) const noexcept { freeifaddrs(list); }
};

IpAddress from_socket(const sockaddr* socket) {
  IpAddress out;
  if (socket == nullptr) return out;
  if (socket->sa_family == AF_INET) {
    sockaddr_in address{};
    std::memcpy(&address, socket, sizeof address);
    out.family = Family::ip4;
    std::memcpy(out.bytes.data(), &address.sin_addr, sizeof address.sin_addr);
  } else if (socket->sa_family == AF_INET6) {
    sockaddr_in6 address{};
    std::memcpy(&address, socket, sizeof address);
    out.family = Family::ip6;
    std::memcpy(out.bytes.data(), &address.sin6_addr, sizeof address.sin6_addr);
  }
  return out;
}

// Those that others can reach, in an order that does not change.
std::vector<IpAddress> kernel_addresses() {
  std::vector<IpAddress> addresses;
  ifaddrs* first = nullptr;
  if (getifaddrs(&first) != 0) return addresses;
  const std::unique_ptr<ifaddrs, FreeList> list(first);
  for (const ifaddrs* entry = first; entry != nullptr; entry = entry->ifa_next) {
    const IpAddress address = from_socket(entry->ifa_addr);
    if (is_service_address(address)) addresses.push_back(address);
  }
  std::ranges::sort(addresses);
  const auto doubled = std::ranges::unique(addresses);
  addresses.erase(doubled.begin(), doubled.end());
  return addresses;
}

}  // namespace

// The gateways come last: they are the dataplane's, and serve NodePorts as the node does.
NodeFacts read_node_facts(const Controller& controller) {
  const config::Config& config = controller.config;
  NodeFacts facts{.name = config.node.name,
                  .zone = config.node.zone,
                  .addresses = kernel_addresses(),
                  .pod_prefixes = config.network.pod_cidrs,
                  .inside = config.network.pod_cidrs,
                  .kept = kept_by_uplinks(masquerade_of(config))};
  for (const IpPrefix& prefix : config.services.cluster_cidrs) facts.inside.push_back(prefix);
  for (const IpAddress& address : facts.addresses) {
    facts.inside.push_back(make_prefix(address, address.bits()));
  }
  for (const IpAddress& gateway :
       {controller.host.link.link.gateway4, controller.host.link.link.gateway6}) {
    if (gateway.is_none()) continue;
    facts.masquerade.push_back(gateway);
    facts.addresses.push_back(gateway);
  }
  return facts;
}

}  // namespace weir::control
