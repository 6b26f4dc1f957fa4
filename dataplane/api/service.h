// Services on the wire: records of the messages 50..69 of protocol.h, under its rules.
//
// Control decides who is usable (ready, serving, on this node, near) and sends the
// outcome: frontends, what clients aim at, and groups of backends to choose from. The
// dataplane spreads new connections over a group and keeps each where it went.
// Addresses in network order, ports in host order, numbers chosen by control are never 0.
#pragma once

#include <array>
#include <cstdint>

#include "dataplane/api/net.h"

namespace weir::api {

// Lists that are replaced as a whole, a group's backends and a set's prefixes: their
// records come in a row, in one message or in several on one connection. The list changes
// when its last record is taken, at once; a list that never ends changes nothing.
inline constexpr uint32_t kListFirst = 1;
inline constexpr uint32_t kListLast = 2;
inline constexpr uint32_t kListEmpty = 4;  // with both others: the only record, and no member

struct Backend {
  uint64_t group = 0;
  IpAddress address;
  uint16_t port = 0;
  uint16_t weight = 1;  // 1..1000, shares of new connections
  uint32_t flags = 0;   // kList*
  uint32_t reserved = 0;
};

struct PrefixMember {
  uint64_t set = 0;
  IpPrefix prefix;
  uint32_t flags = 0;  // kList*
  uint32_t reserved = 0;
};

// The set of networks whose addresses belong to pods and nodes of the cluster. Pod ports
// of this node are inside whatever it says.
inline constexpr uint64_t kInsideSet = 1;

struct ListKey {
  uint64_t key = 0;  // a group or a set; 0 = all where a message allows it
};

enum class FrontendKind : uint8_t {
  none = 0,
  cluster_ip = 1,
  node_port = 2,
  external_ip = 3,
  load_balancer = 4,
  host_port = 5,
};

// Connections from outside get an address of this node as their source, so that replies
// come back through it. Hairpin connections do in any case.
inline constexpr uint32_t kFrontendMasquerade = 1;
// What happens without a usable backend: dropped in silence (traffic policy Local),
// otherwise refused with an ICMP error.
inline constexpr uint32_t kFrontendDropInside = 2;
inline constexpr uint32_t kFrontendDropOutside = 4;

struct FrontendKey {
  IpAddress address;
  uint16_t port = 0;
  uint8_t protocol = 0;  // IANA: 6 TCP, 17 UDP, 132 SCTP
  uint8_t reserved = 0;
};

struct Frontend {
  FrontendKey key;
  FrontendKind kind = FrontendKind::none;
  std::array<uint8_t, 3> reserved{};
  uint32_t flags = 0;
  uint64_t group_inside = 0;   // for clients inside the cluster; must be there already
  uint64_t group_outside = 0;  // for all others
  uint64_t source_ranges = 0;  // prefix set that clients must be in; 0 = no limit
  // Clients of one address stay with one backend of the group among all frontends with the
  // same number; 0 = no affinity.
  uint64_t affinity = 0;
  uint32_t affinity_seconds = 0;  // 1..86400, from a client's last new connection
  uint32_t reserved2 = 0;
  std::array<char, 96> name{};  // "namespace/name:port"; for people
};

struct FrontendState {
  Frontend config;
  uint32_t backends_inside = 0;
  uint32_t backends_outside = 0;
};

struct BackendState {
  Backend config;
  uint32_t id = 0;           // stable while the backend stays in its group
  uint32_t connections = 0;  // that chose it and are alive
};

// One for the whole dataplane; zero = default.
struct ServiceSettings {
  IpAddress masquerade4;  // source of masqueraded connections; none = they are dropped
  IpAddress masquerade6;
  uint16_t masquerade_first_port = 0;  // default 1024
  uint16_t masquerade_last_port = 0;   // default 65535
  uint32_t connections_per_port = 0;   // a pod's quota, default an eighth of all
  uint32_t reserved = 0;
};

enum class ConnectionPhase : uint8_t {
  opening = 0,  // one direction seen
  open = 1,     // both
  closing = 2,  // TCP FIN both ways, or RST
};

inline constexpr uint8_t kConnectionMasqueraded = 1;

struct ConnectionState {
  FrontendKey client;  // address and port; protocol of the connection
  FrontendKey frontend;
  FrontendKey backend;
  FrontendKey masquerade;  // equals client without kConnectionMasqueraded
  ConnectionPhase phase = ConnectionPhase::opening;
  uint8_t flags = 0;
  uint16_t reserved = 0;
  uint32_t idle_seconds = 0;
  uint32_t left_seconds = 0;  // until it is forgotten
  uint32_t number = 0;        // its place, for the next ConnectionQuery
  uint64_t port_key = 0;      // port it came from
};

// Connections change while they are listed: each one that stays is listed once.
struct ConnectionQuery {
  uint32_t first = 0;   // places below are skipped
  uint32_t limit = 0;   // 0 = default 1000, at most 10000
  IpAddress address;    // of client, frontend or backend; none = any
  uint16_t port = 0;    // likewise; 0 = any
  uint8_t protocol = 0; // 0 = any
  uint8_t reserved = 0;
};

struct ConnectionStats {
  uint32_t capacity = 0;
  uint32_t in_use = 0;  // affinity entries included
  uint32_t affinities = 0;
  uint32_t waiting = 0; // ended, their memory is not free yet
  uint64_t created = 0;
  uint64_t expired = 0;
  uint64_t repicked = 0;  // moved away from a backend that was removed
};

}  // namespace weir::api
