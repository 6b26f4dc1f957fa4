#include "dataplane/nodes/translation.h"

#include "dataplane/nodes/parse.h"

namespace weir::dataplane {
namespace {

// The parse stage has walked this chain and found a fragment header within the snapshot.
uint32_t identification6(const Packet& packet) noexcept {
  uint8_t next_header = packet.l3<Ip6Header>().next_header;
  size_t offset = packet.l3_offset + sizeof(Ip6Header);
  for (size_t i = 0; i < kMaxExtensionHeaders && next_header != kProtoFragment; ++i) {
    const auto* header = packet.header<Ip6ExtensionHeader>(offset);
    if (header == nullptr) return 0;
    offset += extension_length(next_header, *header);
    next_header = header->next_header;
  }
  const auto* fragment = packet.header<Ip6FragmentHeader>(offset);
  return fragment != nullptr ? fragment->identification.wire() : 0;
}

}  // namespace

// RFC 791 3.2 counts the protocol in, RFC 8200 4.5 does not.
FlowKey fragment_key(const Packet& packet) noexcept {
  FlowKey key{.family = packet.family};
  set_addresses(key, packet.data() + packet.l3_offset);
  if (packet.family == Family::ip4) {
    key.protocol = packet.l4_protocol;
    key.source_port = packet.l3<Ip4Header>().identification.wire();
    return key;
  }
  const uint32_t identification = identification6(packet);
  key.source_port = static_cast<uint16_t>(identification);
  key.destination_port = static_cast<uint16_t>(identification >> 16);
  return key;
}

Drop lead_fragments(const Packet& packet, const Translation& to, StageContext& context) noexcept {
  // SCTP's checksum covers the whole datagram, whose length no fragment but the last tells.
  const auto ports = load<uint32_t>(packet.data() + packet.l4_offset);
  if (packet.l4_protocol == kProtoSctp && ports != to.ports) return Drop::connection_sctp_fragment;
  const FlowKey addresses{.source = to.source, .destination = to.destination};
  context.fragments->remember(packet.in_port, fragment_key(packet), addresses, context.now);
  return Drop::count;
}

bool follow_first_fragment(Packet& packet, StageContext& context) noexcept {
  const FlowKey* to = context.fragments->find(packet.in_port, fragment_key(packet), context.now);
  if (to == nullptr) return false;
  translate(packet, *to);
  packet.translated = true;
  return true;
}

}  // namespace weir::dataplane
