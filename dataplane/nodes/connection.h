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

  FlowNumber expected = kNoPorts;  // what the lookup will probably find
};

struct ConnectionStage {
  static constexpr Next kNext = Next::connection;
  static constexpr Next kUsual = Next::rewrite;
  static void prepare(Packet* packets, std::span<const uint8_t> waiting,
                      StageContext& context) noexcept;
  static Next classify(Packet& packet, StageContext& context) noexcept;
  static bool must_repick(const Connection& connection, Direction direction, uint8_t protocol,
                          uint8_t tcp_flags, const StageContext& context) noexcept;

 private:
  static Next known(Packet& packet, const ConnectionTable::Match& match,
                    StageContext& context) noexcept;
  static bool note(const Packet& packet, const ConnectionTable::Match& match,
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
  std::array<uint64_t, kVectorSize> hashes;
  std::array<uint8_t, kVectorSize> with_ports;
  size_t count = 0;
  for (const uint8_t index : waiting) {
    const Packet& packet = packets[index];
    if (!has_ports(packet) || packet.translated) [[unlikely]] {
      context.flows[index].expected = FlowLookup::kNoPorts;
      continue;
    }
    if (packet.family == Family::ip4) [[likely]] {
      hashes[count] = connections.hash(ip4_key_of(packet));
    } else {
      hashes[count] = connections.hash(ip6_key_of(packet));
    }
    connections.prefetch(hashes[count]);
    with_ports[count++] = index;
  }
  FlowLookup* const flows = context.flows;
  connections.prefetch_records({hashes.data(), count}, [&](size_t i, FlowNumber flow) {
    flows[with_ports[i]].expected = flow;
  });
}

// Inlined by force, as known() is: there are two instances of the loop around it, traced and
// not, so the compiler would rather call them.
[[gnu::always_inline]] inline Next ConnectionStage::classify(Packet& packet,
                                                             StageContext& context) noexcept {
  const FlowNumber flow = context.flows[context.index_of(packet)].expected;
  if (flow == FlowLookup::kNoPorts) [[unlikely]]
    return without_ports(packet, context);
  ConnectionTable& connections = *context.connections;
  ConnectionTable::Match match;
  if (packet.family == Family::ip4) [[likely]] {
    match = connections.find_expected(ip4_key_of(packet), flow);
  } else {
    match = connections.find_expected(ip6_key_of(packet), flow);
  }
  return match ? known(packet, match, context) : Next::route;
}

[[gnu::always_inline]] inline Next ConnectionStage::known(Packet& packet,
                                                          const ConnectionTable::Match& match,
                                                          StageContext& context) noexcept {
  Connection& connection = *match.connection;
  if (!note(packet, match, context)) [[unlikely]] {
    context.connections->repick(context.worker, connection);
    return Next::route;
  }
  const Next next = translate_as(packet, connection, match.direction, context);
  return next == Next::route ? forward(packet, connection.hop(match.direction), context) : next;
}

// Whether a client's packet is to choose a backend anew: of UDP, or while TCP opens, when its
// backend is gone; and when TCP begins again on ports that ended before. Nobody foresees a
// packet's direction, so nothing branches on that alone.
[[gnu::always_inline]] inline bool ConnectionStage::must_repick(
    const Connection& connection, Direction direction, uint8_t protocol, uint8_t tcp_flags,
    const StageContext& context) noexcept {
  const bool forward = direction == Direction::forward;
  if (protocol == kProtoUdp) return forward & !context.backends->alive(connection.backend_id);
  const bool opens = (tcp_flags & (kTcpSyn | kTcpAck)) == kTcpSyn;
  return (forward & opens) && reopens(connection, context);
}

// Marks the connection as used, or says false when the packet is to choose a backend anew.
[[gnu::always_inline]] inline bool ConnectionStage::note(const Packet& packet,
                                                         const ConnectionTable::Match& match,
                                                         StageContext& context) noexcept {
  const auto note_as = [&](uint8_t protocol, uint8_t tcp_flags) {
    if (must_repick(*match.connection, match.direction, protocol, tcp_flags, context)) [[unlikely]]
      return false;
    context.connections->touch(
        *match.connection, connection_bits(match.direction, protocol, tcp_flags), context.ticks);
    return true;
  };
  // Apart, so that a datagram pays nothing for what TCP needs.
  return packet.l4_protocol == kProtoUdp ? note_as(kProtoUdp, 0)
                                         : note_as(packet.l4_protocol, tcp_flags_of(packet));
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
