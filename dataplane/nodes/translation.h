// What the stages connection and service do to a packet once its connection is known.
#pragma once

#include "dataplane/core/nat.h"
#include "dataplane/core/stage.h"
#include "dataplane/tables/connection.h"
#include "dataplane/tables/fragment_table.h"

namespace weir::dataplane {

// What packets of a connection get, by the direction they go.
inline Translation translation_of(const Connection& connection, Direction direction) noexcept {
  if (direction == Direction::forward) {
    return {connection.masquerade, connection.backend,
            ports_word(connection.masquerade_port, connection.backend_port),
            connection.forward_change};
  }
  const FlowKey& key = connection.key;
  return {key.destination, key.source, ports_word(key.destination_port, key.source_port),
          connection.forward_change.reversed()};
}

// What all fragments of a packet have in common, for FragmentTable.
FlowKey fragment_key(const Packet& packet) noexcept;

// A first fragment decides for those behind it. Drop::count, or why it cannot be translated.
Drop lead_fragments(const Packet& packet, const Translation& to, StageContext& context) noexcept;

// Translates a packet of the connection and sends it to route, or drops it.
inline Next translate_as(Packet& packet, const Connection& connection, Direction direction,
                         StageContext& context) noexcept {
  const Translation to = translation_of(connection, direction);
  if (packet.fragment) [[unlikely]] {
    const Drop refused = lead_fragments(packet, to, context);
    if (refused != Drop::count) return drop(packet, refused);
  }
  translate(packet, to);
  packet.translated = true;
  return Next::route;
}

// A later fragment: false when its first one was not translated, or not seen.
bool follow_first_fragment(Packet& packet, StageContext& context) noexcept;

}  // namespace weir::dataplane
