// The node's routes as the main thread keeps them: explicit routes that control set,
// and host routes derived from ports. It feeds the forwarding tables that workers read.
//
// Thread safety: main thread only. Workers see its effects through Fib and Adjacencies.
// Invariants:
// - every route of a port, and every route via a gateway, shares one adjacency with all
//   others of that port or gateway, so a next hop moves by exactly one Adjacencies::set;
// - routes with the same set of gateways share a multipath adjacency, whose group leads flows
//   to the adjacencies of those gateways that answer;
// - a route whose port or gateway is absent stays, with an `unresolved` adjacency;
// - at most one route exists for a prefix, and beside it a service route for an address of
//   frontends: that one is in the forwarding table then, and names the other's adjacency.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "dataplane/api/error.h"
#include "dataplane/api/protocol.h"
#include "dataplane/tables/adjacency.h"
#include "dataplane/tables/fib.h"

namespace weir::dataplane {

class RouteTable {
 public:
  // The tables outlive this object.
  RouteTable(Fib4& fib4, Fib6& fib6, Adjacencies& adjacencies)
      : fib4_(fib4), fib6_(fib6), adjacencies_(adjacencies) {}
  RouteTable(const RouteTable&) = delete;
  RouteTable& operator=(const RouteTable&) = delete;

  // Sets or replaces an explicit route and marks it with the current generation; flags
  // are ignored. Errors: invalid_argument; exists when the prefix is a port's own
  // address or gateway; no_memory or limit when tables are full. On error nothing changed.
  Status set(const api::Route& route);
  // An explicit route; success when there is none. no_memory: the route stays.
  Status erase(const IpPrefix& prefix);

  // Routes set from here on carry this generation (0 at start).
  void begin_generation(uint64_t generation) noexcept { generation_ = generation; }
  // Removes explicit routes of any other generation; returns how many.
  size_t sweep(uint64_t generation);

  // A port appeared or changed; idempotent by config.key. Call it after the port was
  // published under `index`. Errors: invalid_argument; exists when an address is another
  // port's, a gateway, or an explicit route's prefix. On error nothing changed.
  Status port_set(uint16_t index, const api::PortConfig& config);
  // Its routes go, routes that lead to it become unresolved. Call it before the port is
  // unpublished. An unknown key does nothing.
  void port_removed(uint64_t key);

  // Packets to this address go to services first; idempotent. Errors: invalid_argument;
  // no_memory or limit when tables are full. On error nothing changed.
  Status service_added(const IpAddress& address);
  void service_removed(const IpAddress& address);

  // The networks of an uplink: their routes lead to neighbours that have to be found. Call it
  // after port_set; port_removed takes them away. Errors: exists when one has a route already.
  Status connect(uint64_t key, const std::vector<IpPrefix>& networks);
  // Key of the uplink in whose network the address is, 0 = none.
  uint64_t uplink_of(const IpAddress& address) const;
  // What is known of a neighbour: its route and all that lead to it as a gateway take the
  // adjacency, of kind port, unresolved, or resolve while it is asked for.
  Status neighbor_set(const IpAddress& address, const Adjacency& adjacency);
  void neighbor_removed(const IpAddress& address);
  // The neighbour that packets with this adjacency word of kind resolve wait for.
  std::optional<IpAddress> waits_for(uint64_t word, const IpAddress& destination) const;
  // Gateways of explicit routes that are in an uplink's network; the number changes with them.
  uint64_t gateways_version() const noexcept { return gateways_version_; }
  std::vector<IpAddress> gateways() const;

  // All routes, in no order.
  void for_each(const std::function<void(const api::Route&)>& visit) const;
  // The longest match; a service route before another one for its address.
  std::optional<api::Route> lookup(const IpAddress& address) const;
  size_t size() const noexcept { return routes_.size() + services_.size(); }

 private:
  enum class Origin : uint8_t { explicit_route, lease, gateway, connected, neighbor };

  // What routes have to agree in to share an adjacency.
  struct HopKey {
    api::RouteKind kind = api::RouteKind::none;
    uint64_t port_key = 0;  // kind port or connected
    IpAddress gateway;      // kind gateway
    std::vector<api::NextHop> next_hops;  // kind multipath; ascending
    auto operator<=>(const HopKey&) const = default;
  };
  struct Hop;
  using HopNode = std::pair<const HopKey, Hop>;
  struct Hop {
    uint32_t index = 0;   // in adjacencies_
    uint32_t routes = 0;  // that use it, and multipath hops
    Adjacency now;        // what adjacencies_ holds
    std::vector<HopNode*> members;  // of a multipath hop, as its next_hops
    std::vector<HopNode*> groups;   // multipath hops that this is a member of
  };

  struct Entry {
    HopNode* hop = nullptr;
    uint64_t generation = 0;
    Origin origin = Origin::explicit_route;
    uint32_t ports = 0;  // that name it; 0 for an explicit route
  };
  struct PrefixHash {
    size_t operator()(const IpPrefix& prefix) const noexcept;
  };
  struct PortEntry {
    uint16_t index = 0;
    MacAddress mac;
    std::vector<IpAddress> leases;
    std::vector<IpAddress> gateways;
    std::vector<IpPrefix> networks;  // an uplink's
  };

  static Result<HopKey> checked_hop(const api::Route& route);
  static Result<HopKey> checked_multipath(const api::Route& route);
  static Result<PortEntry> checked_port(uint16_t index, const api::PortConfig& config);
  Status check_free(uint64_t key, const PortEntry& port) const;

  uint64_t lease_owner(const IpAddress& address) const;  // port key, 0 = nobody
  Adjacency resolve(const HopKey& key, uint32_t index) const;
  Adjacency resolve_gateway(const IpAddress& gateway, uint32_t index) const;
  void disconnect(const std::vector<IpPrefix>& networks);
  void refresh_gateways(const std::vector<IpPrefix>& networks);
  static const char* holder(Origin origin);
  static IpPrefix host_prefix(const IpAddress& address) { return make_prefix(address, address.bits()); }
  Result<HopNode*> add_hop(const HopKey& key);
  Result<HopNode*> add_multipath(const HopKey& key);
  std::vector<HopGroups::Member> usable_members(const HopNode& hop) const;
  void remove_multipath(HopNode* hop);
  void refresh(const HopKey& key);
  void refresh_port(uint64_t key, const PortEntry& port);
  Result<HopNode*> acquire(const HopKey& key);
  void release(HopNode* hop);

  Status fib_set(const IpPrefix& prefix, uint32_t adjacency);
  bool fib_erase(const IpPrefix& prefix);
  Status publish(const IpPrefix& prefix, uint32_t adjacency);
  bool withdraw(const IpPrefix& prefix);
  Status install(const IpPrefix& prefix, const HopKey& key, Origin origin);
  Status adopt(const IpAddress& address, const HopKey& key, Origin origin);
  void drop(const IpAddress& address);
  Status adopt_all(uint64_t key, const PortEntry& port);
  void drop_all(const PortEntry& port);
  static void report_next_hops(const HopNode& hop, api::Route& route);
  api::Route to_route(const IpPrefix& prefix, const Entry& entry) const;

  Fib4& fib4_;
  Fib6& fib6_;
  Adjacencies& adjacencies_;
  uint64_t generation_ = 0;
  std::map<HopKey, Hop> hops_;
  std::unordered_map<IpPrefix, Entry, PrefixHash> routes_;
  std::unordered_map<IpPrefix, uint32_t, PrefixHash> services_;  // index in adjacencies_
  std::unordered_map<uint64_t, PortEntry> ports_;
  std::map<IpAddress, Adjacency> neighbors_;
  std::unordered_map<uint32_t, IpAddress> gateway_of_;  // by index in adjacencies_
  uint64_t gateways_version_ = 0;
};

}  // namespace weir::dataplane
