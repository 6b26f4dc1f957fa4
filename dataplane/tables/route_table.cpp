#include "dataplane/tables/route_table.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "dataplane/tables/address_checks.h"

namespace weir::dataplane {

namespace {

api::Route service_route(const IpPrefix& prefix) {
  return {.prefix = prefix, .kind = api::RouteKind::service, .flags = api::kRouteLease};
}

template <class Table>
typename Table::Key fib_key(const IpAddress& address) {
  typename Table::Key key;
  std::copy_n(address.bytes.begin(), key.size(), key.begin());
  return key;
}

}  // namespace

size_t RouteTable::PrefixHash::operator()(const IpPrefix& prefix) const noexcept {
  static_assert(sizeof(IpPrefix) == 3 * sizeof(uint64_t));
  std::array<uint64_t, 3> words;
  std::memcpy(words.data(), &prefix, sizeof prefix);
  uint64_t hash = 0;
  for (const uint64_t word : words) {
    hash = (hash ^ word) * 0x9e3779b97f4a7c15U;
    hash ^= hash >> 32;
  }
  return hash;
}

// --- checks of what comes from outside

Result<RouteTable::HopKey> RouteTable::checked_hop(const api::Route& route) {
  HopKey key{.kind = route.kind};
  switch (route.kind) {
    case api::RouteKind::blackhole:
    case api::RouteKind::unreachable: return key;
    case api::RouteKind::port:
      if (route.port_key == 0)
        return {ErrorCode::invalid_argument, "a port route needs a port key that is not 0"};
      key.port_key = route.port_key;
      return key;
    case api::RouteKind::gateway:
      key.gateway = route.gateway;
      if (!normalize(key.gateway) || !is_unicast(key.gateway)) {
        return {ErrorCode::invalid_argument, "a gateway route needs a unicast gateway address"};
      }
      return key;
    case api::RouteKind::multipath: return checked_multipath(route);
    case api::RouteKind::none:
    case api::RouteKind::local:
    case api::RouteKind::connected:
    case api::RouteKind::service: break;
  }
  return {ErrorCode::invalid_argument,
          "a route is set as blackhole, unreachable, to a port or via gateways; kind " +
              std::to_string(static_cast<unsigned>(route.kind)) + " is none of them"};
}

Result<RouteTable::PortEntry> RouteTable::checked_port(uint16_t index,
                                                       const api::PortConfig& config) {
  if (config.key == 0 || index >= kUsablePorts || config.address_count > api::kMaxPortAddresses) {
    return {ErrorCode::invalid_argument,
            "a port needs a key that is not 0, an index below 65520 and at most 8 addresses"};
  }
  PortEntry port{.index = index, .mac = config.mac};
  for (size_t i = 0; i < config.address_count; ++i) {
    IpAddress address = config.addresses[i];
    if (!normalize(address) || !is_unicast(address)) {
      return {ErrorCode::invalid_argument,
              "a leased address is not a unicast IPv4 or IPv6 address"};
    }
    if (std::ranges::find(port.leases, address) == port.leases.end())
      port.leases.push_back(address);
  }
  for (IpAddress address : {config.gateway4, config.gateway6}) {
    if (address.is_none()) continue;
    if (!normalize(address) || !is_unicast(address)) {
      return {ErrorCode::invalid_argument,
              "a port's gateway is not a unicast IPv4 or IPv6 address"};
    }
    if (std::ranges::find(port.leases, address) != port.leases.end()) {
      return {ErrorCode::invalid_argument,
              to_string(address) +
                  " is both leased to the port and its gateway; lease another address"};
    }
    port.gateways.push_back(address);
  }
  return port;
}

Status RouteTable::check_free(uint64_t key, const PortEntry& port) const {
  const auto conflict = [](const IpAddress& address, const char* what) {
    return Status(ErrorCode::exists, to_string(address) + " " + what);
  };
  for (const IpAddress& address : port.leases) {
    const auto found = routes_.find(host_prefix(address));
    if (found == routes_.end()) continue;
    if (found->second.origin == Origin::gateway) {
      return conflict(address, "is the gateway address of ports; lease another address");
    }
    if (found->second.origin != Origin::lease) {
      return conflict(address,
                      "has a route of its own; delete that route before the address is leased");
    }
    if (lease_owner(address) != key) {
      return conflict(address, "is leased to another port; delete that port first");
    }
  }
  for (const IpAddress& address : port.gateways) {
    const auto found = routes_.find(host_prefix(address));
    if (found == routes_.end() || found->second.origin == Origin::gateway) continue;
    return conflict(address,
                    found->second.origin == Origin::lease
                        ? "is leased to a port and cannot be a gateway; choose another gateway"
                        : "has a route of its own; delete that route before it becomes a gateway");
  }
  return {};
}

// --- next hops

uint64_t RouteTable::lease_owner(const IpAddress& address) const {
  const auto found = routes_.find(host_prefix(address));
  if (found == routes_.end() || found->second.origin != Origin::lease) return 0;
  return found->second.hop->first.port_key;
}

Adjacency RouteTable::resolve(const HopKey& key, uint32_t index) const {
  switch (key.kind) {
    case api::RouteKind::blackhole: return {.kind = AdjacencyKind::blackhole};
    case api::RouteKind::unreachable: return {.kind = AdjacencyKind::unreachable};
    case api::RouteKind::local: return {.kind = AdjacencyKind::local};
    case api::RouteKind::connected: return {.kind = AdjacencyKind::resolve};
    case api::RouteKind::gateway: return resolve_gateway(key.gateway, index);
    case api::RouteKind::none:
    case api::RouteKind::service:
    case api::RouteKind::multipath:  // made once, see add_multipath
    case api::RouteKind::port: break;
  }
  const auto port = ports_.find(key.port_key);
  if (port == ports_.end()) return {.kind = AdjacencyKind::unresolved};
  return {.kind = AdjacencyKind::port, .port = port->second.index, .mac = port->second.mac};
}

Adjacency RouteTable::resolve_gateway(const IpAddress& gateway, uint32_t index) const {
  const auto port = ports_.find(lease_owner(gateway));
  if (port != ports_.end()) {
    return {.kind = AdjacencyKind::port, .port = port->second.index, .mac = port->second.mac};
  }
  const auto neighbor = neighbors_.find(gateway);
  const bool known = neighbor != neighbors_.end();
  if (known && neighbor->second.kind != AdjacencyKind::resolve) return neighbor->second;
  if (uplink_of(gateway) == 0) return {.kind = AdjacencyKind::unresolved};
  return {.kind = AdjacencyKind::resolve, .under = index};
}

// The one store that moves every route of this next hop.
void RouteTable::refresh(const HopKey& key) {
  const auto hop = hops_.find(key);
  if (hop == hops_.end()) return;
  const Adjacency adjacency = resolve(key, hop->second.index);
  if (adjacency.pack() == hop->second.now.pack()) return;
  const bool same_kind = adjacency.kind == hop->second.now.kind;
  hop->second.now = adjacency;
  adjacencies_.set(hop->second.index, adjacency);
  if (same_kind) return;
  for (const HopNode* group : hop->second.groups) {
    adjacencies_.groups().assign(group->second.now.under, usable_members(*group));
  }
}

void RouteTable::refresh_port(uint64_t key, const PortEntry& port) {
  refresh({.kind = api::RouteKind::port, .port_key = key});
  for (const IpAddress& address : port.leases) {
    refresh({.kind = api::RouteKind::gateway, .gateway = address});
  }
}

Result<RouteTable::HopNode*> RouteTable::acquire(const HopKey& key) {
  const auto found = hops_.find(key);
  const Result<HopNode*> hop = found != hops_.end() ? Result<HopNode*>(&*found)
                               : key.kind == api::RouteKind::multipath ? add_multipath(key)
                                                                       : add_hop(key);
  if (hop) ++(*hop)->second.routes;
  return hop;
}

Result<RouteTable::HopNode*> RouteTable::add_hop(const HopKey& key) {
  const Result<uint32_t> index = adjacencies_.allocate({.kind = AdjacencyKind::unresolved});
  if (!index) return index.error();
  const Adjacency adjacency = resolve(key, *index);
  adjacencies_.set(*index, adjacency);
  if (key.kind == api::RouteKind::gateway) {
    gateway_of_[*index] = key.gateway;
    ++gateways_version_;
  }
  return &*hops_.emplace(key, Hop{.index = *index, .now = adjacency}).first;
}

// The word stays as it is: a worker that still holds the index forwards by the old route.
void RouteTable::release(HopNode* hop) {
  if (--hop->second.routes > 0) return;
  adjacencies_.release(hop->second.index);
  gateways_version_ += gateway_of_.erase(hop->second.index);
  if (!hop->second.members.empty()) remove_multipath(hop);
  hops_.erase(hop->first);
}

// --- routes

Status RouteTable::fib_set(const IpPrefix& prefix, uint32_t adjacency) {
  if (prefix.address.is_ip4())
    return fib4_.set(fib_key<Fib4>(prefix.address), prefix.length, adjacency);
  return fib6_.set(fib_key<Fib6>(prefix.address), prefix.length, adjacency);
}

bool RouteTable::fib_erase(const IpPrefix& prefix) {
  if (prefix.address.is_ip4()) return fib4_.erase(fib_key<Fib4>(prefix.address), prefix.length);
  return fib6_.erase(fib_key<Fib6>(prefix.address), prefix.length);
}

// Makes `adjacency` the one for a prefix: under its service route when it has one.
Status RouteTable::publish(const IpPrefix& prefix, uint32_t adjacency) {
  const auto service = services_.find(prefix);
  if (service == services_.end()) return fib_set(prefix, adjacency);
  adjacencies_.set(service->second, {.kind = AdjacencyKind::service, .under = adjacency});
  return {};
}

bool RouteTable::withdraw(const IpPrefix& prefix) {
  const auto service = services_.find(prefix);
  if (service == services_.end()) return fib_erase(prefix);
  adjacencies_.set(service->second, {.kind = AdjacencyKind::service});
  return true;
}

// Adds or replaces. The old next hop is released last, so that no moment is without one.
Status RouteTable::install(const IpPrefix& prefix, const HopKey& key, Origin origin) {
  const auto found = routes_.find(prefix);
  if (found != routes_.end() && found->second.hop->first == key) return {};
  const Result<HopNode*> hop = acquire(key);
  if (!hop) return hop.error();
  if (Status status = publish(prefix, (*hop)->second.index); !status) {
    release(*hop);
    return status;
  }
  Entry& entry = routes_[prefix];
  if (entry.hop != nullptr) release(entry.hop);
  entry.hop = *hop;
  entry.origin = origin;
  return {};
}

const char* RouteTable::holder(Origin origin) {
  switch (origin) {
    case Origin::lease: return "the leased address of a port";
    case Origin::connected: return "the network of an uplink";
    case Origin::neighbor: return "a neighbour on an uplink";
    default: return "the gateway address of ports";
  }
}

Status RouteTable::set(const api::Route& route) {
  const Result<IpPrefix> prefix = checked_prefix(route.prefix);
  if (!prefix) return prefix.error();
  const Result<HopKey> key = checked_hop(route);
  if (!key) return key.error();
  const auto found = routes_.find(*prefix);
  if (found != routes_.end() && found->second.origin != Origin::explicit_route &&
      found->second.origin != Origin::neighbor) {
    return {ErrorCode::exists,
            to_string(*prefix) + " is " + holder(found->second.origin) + "; choose another prefix"};
  }
  if (Status status = install(*prefix, *key, Origin::explicit_route); !status) return status;
  routes_[*prefix].generation = generation_;
  return {};
}

Status RouteTable::erase(const IpPrefix& prefix) {
  const Result<IpPrefix> clean = checked_prefix(prefix);
  if (!clean) return clean.error();
  const auto found = routes_.find(*clean);
  if (found == routes_.end() || found->second.origin != Origin::explicit_route) return {};
  if (!withdraw(*clean)) {
    return {ErrorCode::no_memory, "the route table is full and " + to_string(*clean) +
                                      " cannot be taken out now; try again in a moment"};
  }
  release(found->second.hop);
  routes_.erase(found);
  return {};
}

size_t RouteTable::sweep(uint64_t generation) {
  std::vector<IpPrefix> stale;
  for (const auto& [prefix, entry] : routes_) {
    if (entry.origin == Origin::explicit_route && entry.generation != generation)
      stale.push_back(prefix);
  }
  size_t swept = 0;
  for (const IpPrefix& prefix : stale) swept += erase(prefix) ? 1 : 0;
  return swept;
}

// --- ports

Status RouteTable::adopt(const IpAddress& address, const HopKey& key, Origin origin) {
  const IpPrefix prefix = host_prefix(address);
  if (Status status = install(prefix, key, origin); !status) return status;
  ++routes_[prefix].ports;
  return {};
}

void RouteTable::drop(const IpAddress& address) {
  const auto found = routes_.find(host_prefix(address));
  if (--found->second.ports > 0) return;
  // A forwarding table too full to take it out keeps naming the next hop, so that is
  // kept as well (unresolved) rather than handed to another route.
  if (withdraw(found->first)) release(found->second.hop);
  routes_.erase(found);
}

Status RouteTable::adopt_all(uint64_t key, const PortEntry& port) {
  std::vector<IpAddress> done;
  const auto adopt_each = [&](const std::vector<IpAddress>& addresses, const HopKey& hop,
                              Origin origin) {
    for (const IpAddress& address : addresses) {
      if (Status status = adopt(address, hop, origin); !status) return status;
      done.push_back(address);
    }
    return Status();
  };
  Status status =
      adopt_each(port.leases, {.kind = api::RouteKind::port, .port_key = key}, Origin::lease);
  if (status) status = adopt_each(port.gateways, {.kind = api::RouteKind::local}, Origin::gateway);
  if (!status) std::ranges::for_each(done, [this](const IpAddress& address) { drop(address); });
  return status;
}

void RouteTable::drop_all(const PortEntry& port) {
  for (const IpAddress& address : port.leases) drop(address);
  for (const IpAddress& address : port.gateways) drop(address);
}

Status RouteTable::port_set(uint16_t index, const api::PortConfig& config) {
  const Result<PortEntry> port = checked_port(index, config);
  if (!port) return port.error();
  if (Status status = check_free(config.key, *port); !status) return status;
  const auto old = ports_.extract(config.key);
  PortEntry& entry = ports_.emplace(config.key, *port).first->second;
  if (!old.empty()) entry.networks = old.mapped().networks;
  if (Status status = adopt_all(config.key, *port); !status) {
    ports_.erase(config.key);
    if (!old.empty()) ports_.emplace(config.key, old.mapped());
    return status;
  }
  refresh_port(config.key, *port);
  if (!old.empty()) {
    drop_all(old.mapped());
    refresh_port(config.key, old.mapped());
  }
  return {};
}

void RouteTable::port_removed(uint64_t key) {
  const auto old = ports_.extract(key);
  if (old.empty()) return;
  refresh_port(key, old.mapped());
  drop_all(old.mapped());
  disconnect(old.mapped().networks);
}

// --- services

Status RouteTable::service_added(const IpAddress& address) {
  IpAddress clean = address;
  if (!normalize(clean) || !is_unicast(clean)) {
    return {ErrorCode::invalid_argument, "a frontend needs a unicast IPv4 or IPv6 address"};
  }
  const IpPrefix prefix = host_prefix(clean);
  if (services_.contains(prefix)) return {};
  const auto route = routes_.find(prefix);
  const uint32_t under = route != routes_.end() ? route->second.hop->second.index : 0;
  const Result<uint32_t> index = adjacencies_.allocate({.kind = AdjacencyKind::service, .under = under});
  if (!index) return index.error();
  if (Status status = fib_set(prefix, *index); !status) {
    adjacencies_.release(*index);
    return status;
  }
  services_.emplace(prefix, *index);
  return {};
}

void RouteTable::service_removed(const IpAddress& address) {
  const auto found = services_.find(host_prefix(address));
  if (found == services_.end()) return;
  const auto& [prefix, index] = *found;
  const auto route = routes_.find(prefix);
  const bool gone = route != routes_.end() ? bool{fib_set(prefix, route->second.hop->second.index)} : fib_erase(prefix);
  // A forwarding table too full to change keeps naming this adjacency: it stays, and leads
  // to what is under it.
  if (!gone) return;
  adjacencies_.release(index);
  services_.erase(found);
}

// --- what is there

api::Route RouteTable::to_route(const IpPrefix& prefix, const Entry& entry) const {
  const auto& [key, hop] = *entry.hop;
  api::Route route{
      .prefix = prefix, .kind = key.kind, .port_key = key.port_key, .gateway = key.gateway};
  if (entry.origin != Origin::explicit_route) route.flags |= api::kRouteLease;
  if (key.kind == api::RouteKind::multipath) {
    report_next_hops(*entry.hop, route);
  } else if (hop.now.kind == AdjacencyKind::unresolved) {
    route.flags |= api::kRouteUnresolved;
  } else if (key.kind == api::RouteKind::gateway) {
    const uint64_t owner = lease_owner(key.gateway);
    route.port_key = owner != 0 ? owner : uplink_of(key.gateway);
  }
  return route;
}

void RouteTable::for_each(const std::function<void(const api::Route&)>& visit) const {
  for (const auto& [prefix, index] : services_) visit(service_route(prefix));
  for (const auto& [prefix, entry] : routes_) visit(to_route(prefix, entry));
}

std::optional<api::Route> RouteTable::lookup(const IpAddress& address) const {
  IpAddress clean = address;
  if (!normalize(clean)) return std::nullopt;
  if (services_.contains(host_prefix(clean))) return service_route(host_prefix(clean));
  for (int length = clean.bits(); length >= 0; --length) {
    const auto found = routes_.find(make_prefix(clean, static_cast<uint8_t>(length)));
    if (found != routes_.end()) return to_route(found->first, found->second);
  }
  return std::nullopt;
}

}  // namespace weir::dataplane
