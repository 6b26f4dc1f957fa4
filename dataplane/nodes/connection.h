// Translates packets of known connections, both directions: addresses, ports, and what ICMP
// errors quote of them. They go on to where the connection's packets went before, unless
// routes have changed since. All others go on unchanged, new connections to the service stage.
// prepare() looks up the whole vector, so that cache misses overlap.
// Sources: RFC 5382, RFC 4787 and RFC 5508 (how a NAT treats TCP, UDP and ICMP).
#pragma once

#include <span>

#include "dataplane/core/stage.h"
#include "dataplane/nodes/route.h"
#include "dataplane/nodes/translation.h"
#include "dataplane/tables/connection_table.h"

namespace weir::dataplane {

// A packet's place in the connection table, from prepare() to classify().
struct FlowLookup {
  static constexpr FlowNumber kNoPorts = ~FlowNumber{0};

  uint64_t hash = 0;
  FlowNumber expected = kNoPorts;  // what the lookup will probably find
};

struct ConnectionStage {
  static constexpr Next kNext = Next::connection;
  static constexpr Next kUsual = Next::rewrite;
  static void prepare(Packet* packets, std::span<const uint8_t> waiting,
                      StageContext& context) noexcept;
  static Next classify(Packet& packet, StageContext& context) noexcept;
  static bool must_repick(const Connection& connection, Direction direction, uint8_t tcp_flags,
                          const StageContext& context) noexcept;

 private:
  static Next known(Packet& packet, const ConnectionTable::Match& match,
                    StageContext& context) noexcept;
  static bool reopens(const Connection& connection, const StageContext& context) noexcept;
  static Next forward(Packet& packet, std::atomic<uint64_t>& hop,
                      const StageContext& context) noexcept;
  static Next look_up(Packet& packet, std::atomic<uint64_t>& hop, uint64_t changes,
                      const StageContext& context) noexcept;
  static Next without_ports(Packet& packet, StageContext& context) noexcept;
  static void error(Packet& packet, const Quote& quote, StageContext& context) noexcept;
};

inline uint8_t tcp_flags_of(const Packet& packet) noexcept {
  // The parse stage found the whole header.
  const auto& tcp = *reinterpret_cast<const TcpHeader*>(packet.data() + packet.l4_offset);
  return packet.l4_protocol == kProtoTcp ? tcp.flags : 0;
}

inline void ConnectionStage::prepare(Packet* packets, std::span<const uint8_t> waiting,
                                     StageContext& context) noexcept {
  const ConnectionTable& connections = *context.connections;
  for (const uint8_t index : waiting) {
    FlowLookup& flow = context.flows[index];
    const Packet& packet = packets[index];
    flow.expected = FlowLookup::kNoPorts;
    if (!has_ports(packet)) continue;
    flow.hash = packet.family == Family::ip4 ? connections.hash(ip4_key_of(packet))
                                             : connections.hash(ip6_key_of(packet));
    flow.expected = 0;
    connections.prefetch(flow.hash);
  }
  for (const uint8_t index : waiting) {
    FlowLookup& flow = context.flows[index];
    if (flow.expected == 0) flow.expected = connections.prefetch_record(flow.hash);
  }
}

// Inlined by force, as known() is: there are two instances of the loop around it, traced and
// not, so the compiler would rather call them.
[[gnu::always_inline]] inline Next ConnectionStage::classify(Packet& packet,
                                                             StageContext& context) noexcept {
  const FlowLookup& flow = context.flows[context.index_of(packet)];
  if (flow.expected == FlowLookup::kNoPorts) [[unlikely]]
    return without_ports(packet, context);
  ConnectionTable& connections = *context.connections;
  const auto match = packet.family == Family::ip4
                         ? connections.find(ip4_key_of(packet), flow.hash, flow.expected)
                         : connections.find(ip6_key_of(packet), flow.hash, flow.expected);
  return match ? known(packet, match, context) : Next::route;
}

[[gnu::always_inline]] inline Next ConnectionStage::known(Packet& packet,
                                                          const ConnectionTable::Match& match,
                                                          StageContext& context) noexcept {
  Connection& connection = *match.connection;
  const uint8_t tcp_flags = tcp_flags_of(packet);
  if (must_repick(connection, match.direction, tcp_flags, context)) [[unlikely]] {
    context.connections->repick(context.worker, connection);
    return Next::route;
  }
  context.connections->touch(connection, match.direction, tcp_flags, context.ticks);
  const Next next = translate_as(packet, connection, match.direction, context);
  return next == Next::route ? forward(packet, connection.hop(match.direction), context) : next;
}

// Whether a client's packet is to choose a backend anew: of UDP, or while TCP opens, when its
// backend is gone; and when TCP begins again on ports that ended before.
inline bool ConnectionStage::must_repick(const Connection& connection, Direction direction,
                                         uint8_t tcp_flags, const StageContext& context) noexcept {
  const bool forward = direction == Direction::forward;
  // Not &&: which direction a packet goes, nobody foresees.
  if (connection.key().protocol == kProtoUdp)
    return forward & !context.backends->alive(connection.backend_id);
  const bool opens = (tcp_flags & (kTcpSyn | kTcpAck)) == kTcpSyn;
  return (forward & opens) && reopens(connection, context);
}

// Where its addresses lead now: what the route stage would say.
inline Next ConnectionStage::forward(Packet& packet, std::atomic<uint64_t>& hop,
                                     const StageContext& context) noexcept {
  const uint64_t changes =
      packet.family == Family::ip4 ? context.fib4->changes() : context.fib6->changes();
  // relaxed: a number alone; what it leads to was published before that change
  const CachedHop cached(hop.load(std::memory_order_relaxed));
  if (!cached.is_of(changes)) [[unlikely]]
    return look_up(packet, hop, changes, context);
  packet.adjacency = context.adjacencies->load(cached.next_hop());
  return Route::to_adjacency(packet, context);
}

}  // namespace weir::dataplane
