#include "dataplane/nodes/connection.h"

namespace weir::dataplane {

Next ConnectionStage::without_ports(Packet& packet, StageContext& context) noexcept {
  if (packet.fragment && packet.l4_offset == 0) {
    follow_first_fragment(packet, context);
  } else if (const auto quote = quote_of(packet)) {
    error(packet, *quote, context);
  }
  return Next::route;
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
  const FlowKey inner =
      match.direction == Direction::reverse ? connection.key : connection.reverse_key();
  outer.destination = inner.source;
  if (from_end) outer.source = inner.destination;
  translate_error(packet, quote, inner, outer);
  packet.translated = true;
}

}  // namespace weir::dataplane
