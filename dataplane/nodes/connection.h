// Translates packets of known connections, both directions: addresses, ports, and what ICMP
// errors quote of them. All others go on unchanged, new connections to the service stage.
// prepare() looks up the whole vector, so that cache misses overlap.
// Sources: RFC 5382, RFC 4787 and RFC 5508 (how a NAT treats TCP, UDP and ICMP).
#pragma once

#include <span>

#include "dataplane/core/stage.h"
#include "dataplane/nodes/translation.h"
#include "dataplane/tables/connection_table.h"

namespace weir::dataplane {

// A packet's place in the connection table, from prepare() to classify().
struct FlowLookup {
  FlowKey key;  // Family::none: the packet has no ports
  uint64_t hash = 0;
  uint32_t expected = 0;  // record that the lookup will probably find
};

struct ConnectionStage {
  static constexpr Next kNext = Next::connection;
  static constexpr Next kUsual = Next::route;
  static void prepare(Packet* packets, std::span<const uint8_t> waiting,
                      StageContext& context) noexcept;
  static Next classify(Packet& packet, StageContext& context) noexcept;

 private:
  static Next known(Packet& packet, const ConnectionTable::Match& match,
                    StageContext& context) noexcept;
  static bool must_repick(const Connection& connection, uint8_t tcp_flags,
                          const StageContext& context) noexcept;
  static Next without_ports(Packet& packet, StageContext& context) noexcept;
  static void error(Packet& packet, const Quote& quote, StageContext& context) noexcept;
};

inline uint8_t tcp_flags_of(const Packet& packet) noexcept {
  return packet.l4_protocol == kProtoTcp ? packet.header<TcpHeader>(packet.l4_offset)->flags : 0;
}

inline void ConnectionStage::prepare(Packet* packets, std::span<const uint8_t> waiting,
                                     StageContext& context) noexcept {
  for (const uint8_t index : waiting) {
    FlowLookup& flow = context.flows[index];
    const Packet& packet = packets[index];
    flow.key.family = Family::none;
    if (!has_ports(packet)) continue;
    flow.key = key_of(packet);
    flow.hash = context.connections->hash(flow.key);
    context.connections->prefetch(flow.hash);
  }
  for (const uint8_t index : waiting) {
    FlowLookup& flow = context.flows[index];
    if (flow.key.family != Family::none)
      flow.expected = context.connections->prefetch_record(flow.hash);
  }
}

inline Next ConnectionStage::classify(Packet& packet, StageContext& context) noexcept {
  const FlowLookup& flow = context.flows[context.index_of(packet)];
  if (flow.key.family == Family::none) return without_ports(packet, context);
  const auto match = context.connections->find(flow.key, flow.hash, flow.expected);
  return match ? known(packet, match, context) : Next::route;
}

inline Next ConnectionStage::known(Packet& packet, const ConnectionTable::Match& match,
                                   StageContext& context) noexcept {
  Connection& connection = *match.connection;
  const uint8_t tcp_flags = tcp_flags_of(packet);
  const bool forward = match.direction == Direction::forward;
  if (forward && must_repick(connection, tcp_flags, context)) [[unlikely]] {
    context.connections->repick(context.worker, connection);
    return Next::route;
  }
  context.connections->touch(connection, match.direction, tcp_flags, context.ticks);
  return translate_as(packet, connection, match.direction, context);
}

// Whether a client's packet is to choose a backend anew: of UDP, or while TCP opens, when its
// backend is gone; and when TCP begins again on ports that ended before (RFC 9293 3.6.1).
inline bool ConnectionStage::must_repick(const Connection& connection, uint8_t tcp_flags,
                                         const StageContext& context) noexcept {
  const uint8_t protocol = connection.key.protocol;
  if (protocol == kProtoUdp) return !context.backends->alive(connection.backend_id);
  if ((tcp_flags & (kTcpSyn | kTcpAck)) != kTcpSyn) [[likely]]
    return false;
  return connection.phase() == api::ConnectionPhase::closing ||
         ((connection.bits() & Connection::kReplied) == 0 &&
          !context.backends->alive(connection.backend_id));
}

}  // namespace weir::dataplane
