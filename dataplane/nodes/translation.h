// What the stages connection and service do to a packet once its connection is known.
#pragma once

#include <bit>

#include "dataplane/core/nat.h"
#include "dataplane/core/stage.h"
#include "dataplane/tables/connection.h"
#include "dataplane/tables/fragment_table.h"

namespace weir::dataplane {

// What packets of a connection get, by the direction they go: what the other end's packets
// have, the other way round.
inline Translation translation_of(const Connection& connection, Direction direction) noexcept {
  const FlowKey& answer = connection.other_key(direction);
  return {answer.destination, answer.source, std::rotl(load<uint32_t>(&answer.source_port), 16),
          connection.forward_change.reversed_if(direction == Direction::reverse)};
}

// What all fragments of a packet have in common, for FragmentTable.
FlowKey fragment_key(const Packet& packet) noexcept;

// A first fragment decides for those behind it. Drop::count, or why it cannot be translated.
Drop lead_fragments(const Packet& packet, const Translation& to, StageContext& context) noexcept;

// Translates a packet of the connection and sends it to route, or drops it.
inline Next translate_as(Packet& packet, const FlowHeaders& headers, const Connection& connection,
                         Direction direction, StageContext& context) noexcept {
  if (packet.fragment) [[unlikely]] {
    const Drop refused = lead_fragments(packet, translation_of(connection, direction), context);
    if (refused != Drop::count) return drop(packet, refused);
  }
  translate(packet, headers, translation_of(connection, direction));
  packet.translated = true;
  return Next::route;
}

// A later fragment: false when its first one was not translated, or not seen.
bool follow_first_fragment(Packet& packet, StageContext& context) noexcept;

}  // namespace weir::dataplane
