#include "dataplane/nodes/connection.h"

namespace weir::dataplane {

// What was there when sift() looked is gone: the key may be elsewhere by now.
Next ConnectionStage::search(Packet& packet, StageContext& context) noexcept {
  const FlowKey key = key_of(packet);
  const auto match = context.connections->find(key, context.connections->hash(key));
  return match ? known(packet, headers_of(packet), match, context) : Next::route;
}

// RFC 9293 3.6.1: a SYN on the ports of a connection that ended.
bool ConnectionStage::reopens(const Connection& connection, const StageContext& context) noexcept {
  return connection.phase() == api::ConnectionPhase::closing ||
         ((connection.bits() & Connection::kReplied) == 0 &&
          !context.backends->alive(connection.backend_id));
}

// Only an address that may be routed has a place in the FIB to keep; others are refused by
// the route stage.
Next ConnectionStage::forward_anew(Packet& packet, std::atomic<uint64_t>& hop, uint64_t changes,
                                   const StageContext& context) noexcept {
  uint32_t next_hop = 0;
  if (packet.family == Family::ip4) {
    const Fib4::Key& to = packet.l3<Ip4Header>().destination.raw;
    if (!routable4(to[0])) return Next::route;
    next_hop = context.fib4->lookup(to);
  } else {
    const Fib6::Key& to = packet.l3<Ip6Header>().destination;
    if (!routable6(to[0])) return Next::route;
    next_hop = context.fib6->lookup(to);
  }
  // relaxed: see forward()
  hop.store(CachedHop(changes, next_hop).word(), std::memory_order_relaxed);
  packet.adjacency = context.adjacencies->load(next_hop);
  return Route::to_adjacency(packet, context);
}

Next ConnectionStage::without_ports(Packet& packet, StageContext& context) noexcept {
  if (packet.translated) return Next::route;  // it waited for a neighbour since
  if (packet.fragment && packet.l4_offset == 0) {
    follow_first_fragment(packet, context);
  } else if (const auto quote = quote_of(packet)) {
    error(packet, *quote, context);
  } else if (const auto key = tracked_key_of(packet)) {
    return echo(packet, *key, context);
  }
  return Next::route;
}

Next ConnectionStage::echo(Packet& packet, const FlowKey& key, StageContext& context) noexcept {
  const auto match = context.connections->find(key, context.connections->hash(key));
  return match ? known(packet, headers_of(packet), match, context) : Next::route;
}

// The quoted packet is one that weir sent, translated, so its answer would be of the
// connection: as a backend would send it, or a client.
void ConnectionStage::error(Packet& packet, const Quote& quote, StageContext& context) noexcept {
  const FlowKey answer{.source = quote.key.destination,
                       .destination = quote.key.source,
                       .source_port = quote.key.destination_port,
                       .destination_port = quote.key.source_port,
                       .protocol = quote.key.protocol,
                       .family = quote.key.family};
  const auto match = context.connections->find(answer, context.connections->hash(answer));
  if (!match) return;
  FlowKey outer{.family = packet.family};
  set_addresses(outer, packet.data() + packet.l3_offset);
  // Routers on the way may complain of any flow, a pod only of its own.
  const bool from_end = outer.source == answer.source;
  const PortInfo* port = context.port(packet.in_port);
  if (!from_end && !packet.generated && (port == nullptr || !port->trusted)) return;
  const Connection& connection = *match.connection;
  const FlowKey& inner = connection.other_key(match.direction);
  outer.destination = inner.source;
  if (from_end) outer.source = inner.destination;
  translate_error(packet, quote, inner, outer);
  packet.translated = true;
}

}  // namespace weir::dataplane
