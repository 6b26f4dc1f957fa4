// What a packet stage is. A stage is a classifier: it looks at one packet, may
// rewrite its snapshot, and says where the packet goes next. The loops, prefetch,
// cycles and trace are in pipeline.h. One stage a file under dataplane/nodes/.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <string_view>

#include "dataplane/core/packet.h"
#include "dataplane/core/port.h"
#include "dataplane/core/token_bucket.h"
#include "dataplane/tables/adjacency.h"
#include "dataplane/tables/fib.h"

namespace weir::dataplane {

class BackendPool;
class ConnectionTable;
class FragmentTable;
class ServiceTable;

// In pipeline order: a stage sends only to a later one, except that service sends to route
// again, and that new packets of icmp_error and local start at route. What waits for route
// passes through connection before it where there are connections (nodes/graph.cpp). punt is
// the way to the main thread, which resolves neighbours.
enum class Next : uint8_t {
  express,
  parse,
  source_check,
  arp,
  nd,
  connection,
  route,
  service,
  local,
  rewrite,
  mtu,
  masquerade,
  icmp_error,
  punt,
  tx,
  drop,
  count
};
inline constexpr size_t kStageCount = static_cast<size_t>(Next::drop);
inline constexpr std::array<std::string_view, static_cast<size_t>(Next::count)> kStageNames{
    "express", "parse",   "source_check", "arp", "nd",         "connection", "route",
    "service", "local",   "rewrite",      "mtu", "masquerade", "icmp_error", "punt",
    "tx",      "drop"};

inline constexpr size_t kScratchSize = 1536;  // an ICMPv6 error's body, RFC 4443: 1280 in all

// ICMP errors about the packets of one port (RFC 1812 4.3.2.8, RFC 4443 2.4 f).
inline constexpr uint64_t kIcmpErrorsPerSecond = 100;
inline constexpr uint64_t kIcmpErrorBurst = 50;
constexpr uint64_t icmp_error_cost(uint64_t tsc_hz) noexcept { return tsc_hz / kIcmpErrorsPerSecond; }

// What a stage may use. One per worker; tables are shared and read only.
struct StageContext {
  const PortSlot* ports = nullptr;  // kMaxPorts slots
  const Fib4* fib4 = nullptr;
  const Fib6* fib6 = nullptr;
  const Adjacencies* adjacencies = nullptr;
  ConnectionTable* connections = nullptr;
  const ServiceTable* services = nullptr;
  const BackendPool* backends = nullptr;
  FragmentTable* fragments = nullptr;   // this worker's
  TokenBucket* icmp_buckets = nullptr;  // this worker's, one a port
  uint64_t icmp_error_cost = 0;         // cycles a token: icmp_error_cost(tsc_hz)
  uint64_t now = 0;                     // TSC at the start of the vector
  uint32_t ticks = 0;                   // the same as Ticks of tables/connection.h
  uint32_t worker = 0;                  // picks the counter block of a port
  std::byte* scratch = nullptr;         // kScratchSize bytes for each packet of the vector
  Segment* segments = nullptr;          // one for each packet of the vector, stages' own
  Packet* packets = nullptr;            // the vector, to find a packet's index

  // nullptr when the port is gone.
  const PortInfo* port(uint16_t index) const noexcept {
    return ports[index].info.load(std::memory_order_acquire);  // pairs with publication
  }
  size_t index_of(const Packet& packet) const noexcept {
    return static_cast<size_t>(&packet - packets);
  }
};

template <class S>
concept Stage = requires(Packet& packet, StageContext& context) {
  { S::kNext } -> std::convertible_to<Next>;   // the stage's own name in the graph
  { S::kUsual } -> std::convertible_to<Next>;  // where it sends most packets
  { S::classify(packet, context) } noexcept -> std::same_as<Next>;
};

inline Next drop(Packet& packet, Drop reason) noexcept {
  packet.drop = reason;
  return Next::drop;
}

// Drops the packet for `reason` and tells its sender why.
inline Next reject(Packet& packet, Drop reason, const IcmpCause& cause) noexcept {
  packet.drop = reason;
  packet.icmp = cause;
  return Next::icmp_error;
}

}  // namespace weir::dataplane
