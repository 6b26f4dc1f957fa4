// RouteTable's part about uplinks: their networks, and neighbours as next hops.
#include <algorithm>
#include <iterator>

#include "dataplane/tables/route_table.h"

namespace weir::dataplane {

Status RouteTable::connect(uint64_t key, const std::vector<IpPrefix>& networks) {
  const auto port = ports_.find(key);
  if (port == ports_.end()) return {ErrorCode::not_found, "there is no port " + std::to_string(key)};
  std::vector<IpPrefix>& mine = port->second.networks;
  for (const IpPrefix& network : networks) {
    const auto found = routes_.find(network);
    if (found == routes_.end() || std::ranges::find(mine, network) != mine.end()) continue;
    return {ErrorCode::exists,
            to_string(network) + " is the network of two uplinks or has a route of its own"};
  }
  std::vector<IpPrefix> gone;
  std::ranges::copy_if(mine, std::back_inserter(gone), [&](const IpPrefix& network) {
    return std::ranges::find(networks, network) == networks.end();
  });
  std::erase_if(mine, [&](const IpPrefix& network) { return std::ranges::find(gone, network) != gone.end(); });
  disconnect(gone);
  for (const IpPrefix& network : networks) {
    const HopKey hop{.kind = api::RouteKind::connected, .port_key = key};
    if (Status status = install(network, hop, Origin::connected); !status) return status;
    if (std::ranges::find(mine, network) == mine.end()) mine.push_back(network);
  }
  refresh_gateways(networks);
  return {};
}

void RouteTable::disconnect(const std::vector<IpPrefix>& networks) {
  for (const IpPrefix& network : networks) {
    const auto found = routes_.find(network);
    if (found == routes_.end() || found->second.origin != Origin::connected) continue;
    if (withdraw(network)) release(found->second.hop);
    routes_.erase(found);
  }
  refresh_gateways(networks);
}

void RouteTable::refresh_gateways(const std::vector<IpPrefix>& networks) {
  ++gateways_version_;
  for (const auto& [index, gateway] : gateway_of_) {
    const auto is_in = [&gateway = gateway](const IpPrefix& network) { return contains(network, gateway); };
    if (std::ranges::any_of(networks, is_in)) refresh({.kind = api::RouteKind::gateway, .gateway = gateway});
  }
}

uint64_t RouteTable::uplink_of(const IpAddress& address) const {
  uint64_t found = 0;
  uint8_t longest = 0;
  for (const auto& [key, port] : ports_) {
    for (const IpPrefix& network : port.networks) {
      if (!contains(network, address) || (found != 0 && network.length <= longest)) continue;
      found = key;
      longest = network.length;
    }
  }
  return found;
}

Status RouteTable::neighbor_set(const IpAddress& address, const Adjacency& adjacency) {
  neighbors_[address] = adjacency;
  const HopKey hop{.kind = api::RouteKind::gateway, .gateway = address};
  refresh(hop);
  const IpPrefix prefix = host_prefix(address);
  if (routes_.contains(prefix)) return {};
  return install(prefix, hop, Origin::neighbor);
}

void RouteTable::neighbor_removed(const IpAddress& address) {
  if (neighbors_.erase(address) == 0) return;
  const auto found = routes_.find(host_prefix(address));
  if (found != routes_.end() && found->second.origin == Origin::neighbor) {
    if (withdraw(found->first)) release(found->second.hop);
    routes_.erase(found);
  }
  refresh({.kind = api::RouteKind::gateway, .gateway = address});
}

std::optional<IpAddress> RouteTable::waits_for(uint64_t word, const IpAddress& destination) const {
  const Adjacency adjacency = Adjacency::unpack(word);
  if (adjacency.under == 0) return destination;
  const auto found = gateway_of_.find(adjacency.under);
  return found != gateway_of_.end() ? std::optional(found->second) : std::nullopt;
}

std::vector<IpAddress> RouteTable::gateways() const {
  std::vector<IpAddress> all;
  for (const auto& [key, hop] : hops_) {
    if (key.kind != api::RouteKind::gateway || uplink_of(key.gateway) == 0) continue;
    // A neighbour's own route is no reason to look for it.
    const auto own = routes_.find(host_prefix(key.gateway));
    const bool neighbor = own != routes_.end() && own->second.origin == Origin::neighbor;
    if (hop.routes > (neighbor ? 1 : 0)) all.push_back(key.gateway);
  }
  return all;
}

}  // namespace weir::dataplane
