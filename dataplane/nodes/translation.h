// What the stages connection and service do to a packet once its connection is known.
#pragma once

#include "dataplane/core/nat.h"
#include "dataplane/core/stage.h"
#include "dataplane/tables/connection.h"
#include "dataplane/tables/fragment_table.h"

namespace weir::dataplane {

// Addresses and ports that packets of a connection get.
inline FlowKey towards_backend(const Connection& connection) noexcept {
  return {.source = connection.masquerade,
          .destination = connection.backend,
          .source_port = connection.masquerade_port,
          .destination_port = connection.backend_port};
}
inline FlowKey towards_client(const Connection& connection) noexcept {
  const FlowKey& key = connection.key;
  return {.source = key.destination,
          .destination = key.source,
          .source_port = key.destination_port,
          .destination_port = key.source_port};
}

// What all fragments of a packet have in common, for FragmentTable.
FlowKey fragment_key(const Packet& packet) noexcept;

// Gives the packet the addresses and ports of `to` and sends it to route, or drops it. A
// first fragment decides for the later ones.
Next translate_to(Packet& packet, const FlowKey& to, StageContext& context) noexcept;

// A later fragment: false when its first one was not translated, or not seen.
bool follow_first_fragment(Packet& packet, StageContext& context) noexcept;

}  // namespace weir::dataplane
