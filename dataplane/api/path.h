// Dry runs on the wire: records of the message trace_route of protocol.h, under its rules.
// Addresses in network order, ports in host order.
#pragma once

#include "dataplane/api/protocol.h"

namespace weir::api {

// A packet that nobody sends.
struct PathQuery {
  uint64_t port_key = 0;  // where it would come from
  // Address and port of its sender; address none = the port's first leased one of the
  // destination's family. protocol: IANA's number; 1 and 58 mean an echo request.
  FrontendKey source;
  FrontendKey destination;
};

enum class PathEnd : uint8_t {
  delivered = 0,  // leaves by the port `out_key`
  answered = 1,   // the dataplane itself answers
  rejected = 2,   // dropped, and its sender gets an ICMP error
  dropped = 3,
};

// Why a packet to or from a service goes where it goes.
enum class PathChoice : uint8_t {
  none = 0,        // it is of no service
  connection = 1,  // its connection is open already
  affinity = 2,    // the client went there before
  hash = 3,        // Maglev, by addresses and ports
};

inline constexpr uint32_t kPathInside = 1;       // the service counts the client as inside
inline constexpr uint32_t kPathReply = 2;        // goes back to a connection's client
inline constexpr uint32_t kPathMasqueraded = 4;  // the source is not the client's own
inline constexpr uint32_t kPathLargerIsCut = 8;  // IPv4 without DF: larger packets become fragments

struct PathTrace {
  PathEnd end = PathEnd::dropped;
  PathChoice choice = PathChoice::none;
  uint8_t icmp_type = 0;  // of the error, with `rejected`
  uint8_t icmp_code = 0;
  uint32_t flags = 0;  // kPath*
  FrontendKey source;  // as sent
  FrontendKey destination;
  FrontendKey new_source;  // as it leaves
  FrontendKey new_destination;
  // Ports that a masquerade draws from; 0 = the one above is that of an open connection, or
  // there is no masquerade.
  uint16_t masquerade_first = 0;
  uint16_t masquerade_last = 0;
  uint16_t mtu = 0;              // L3 bytes, of the port it leaves by
  uint8_t larger_icmp_type = 0;  // what the sender of a larger packet is told, with that MTU
  uint8_t larger_icmp_code = 0;
  Frontend frontend;  // that it is aimed at; key.address none = no service
  Route route;        // of new_destination; kind none = no route
  uint64_t out_key = 0;
  MacAddress next_hop;  // Ethernet destination it leaves with
  uint16_t reserved = 0;
  std::array<char, 40> drop{};       // reason, with `rejected` and `dropped`
  std::array<char, 96> drop_text{};  // the same for people
};
static_assert(Record<PathQuery> && Record<PathTrace>);

}  // namespace weir::api
