#include "dataplane/nodes/masquerade.h"

#include "dataplane/nodes/connection.h"
#include "dataplane/nodes/new_connection.h"
#include "dataplane/tables/service_table.h"

namespace weir::dataplane {
namespace {

constexpr std::byte kSctpInit{1};  // RFC 9260 3.2: type of the first chunk, which is alone

// An answer, and what is left of a connection that nobody knows, opens none.
bool opens(const Packet& packet, const FlowKey& key) noexcept {
  switch (key.protocol) {
    case kProtoTcp: return (tcp_flags_of(packet) & (kTcpSyn | kTcpAck)) == kTcpSyn;
    case kProtoSctp: {
      const auto* chunk = packet.header<std::byte>(packet.l4_offset + kSctpHeaderLength);
      return chunk != nullptr && *chunk == kSctpInit;
    }
    case kProtoUdp: return true;
    default: return key.destination_port == 0;  // an echo request
  }
}

// Fragments behind it have no ports and pass as it does.
Next pass(const Packet& packet, const FlowKey& key, StageContext& context) noexcept {
  if (packet.fragment) {
    static_cast<void>(
        lead_fragments(packet, {key.source, key.destination, ports_word(key), {}}, context));
  }
  return Next::tx;
}

}  // namespace

Next Masquerade::classify(Packet& packet, StageContext& context) noexcept {
  NewConnection wanted;
  const Next next = choose(packet, context, wanted);
  return next == kNext ? open(packet, wanted, context) : next;
}

Next Masquerade::choose(Packet& packet, StageContext& context, NewConnection& wanted) noexcept {
  const PortInfo* in = context.port(packet.in_port);
  const PortInfo* out = context.port(packet.out_port);
  if (in == nullptr || out == nullptr) return drop(packet, Drop::tx_port_gone);
  if (is_pod(*in) && out->kind == api::PortKind::uplink) {
    return leaving(packet, *out, context, wanted);
  }
  return packet.from_uplink && is_pod(*out) ? arriving(packet, context, wanted) : Next::tx;
}

Next Masquerade::leaving(Packet& packet, const PortInfo& uplink, StageContext& context,
                         NewConnection& wanted) noexcept {
  FlowKey addresses{.family = packet.family};
  set_addresses(addresses, packet.data() + packet.l3_offset);
  if (context.services->keeps_source(packet.family, addresses.destination)) return Next::tx;
  if (packet.l4_offset == 0) return later_fragment(packet, context);
  const auto key = tracked_key_of(packet);
  if (!key) return pass(packet, addresses, context);
  if (!opens(packet, *key)) return pass(packet, *key, context);
  const IpAddress& address = packet.family == Family::ip4 ? uplink.gateway4 : uplink.gateway6;
  if (address.is_none()) return drop(packet, Drop::connection_no_masquerade);
  wanted = {.key = *key,
            .backend = key->destination,
            .backend_port = key->destination_port,
            .owner = packet.in_port,
            .tcp_flags = tcp_flags_of(packet)};
  masquerade_as(wanted, address.bytes, context.services->settings());
  return kNext;
}

Next Masquerade::arriving(Packet& packet, const StageContext& context,
                          NewConnection& wanted) noexcept {
  if (packet.l4_protocol != kProtoUdp || packet.l4_offset == 0) return Next::tx;
  const FlowKey key = key_of(packet);
  if (context.services->keeps_source(key.family, key.source)) return Next::tx;
  wanted = {.key = key, .backend = key.destination, .backend_port = key.destination_port};
  return kNext;
}

Next Masquerade::later_fragment(Packet& packet, StageContext& context) noexcept {
  if (follow_first_fragment(packet, context)) return Next::tx;
  return drop(packet, Drop::masquerade_fragment);
}

// A datagram from outside that cannot be remembered arrives all the same.
Next Masquerade::open(Packet& packet, const NewConnection& wanted, StageContext& context) noexcept {
  using Outcome = ConnectionTable::Outcome;
  const ConnectionTable::Added added =
      context.connections->add(context.worker, wanted, context.ticks);
  if (added.connection == nullptr) {
    if (packet.from_uplink) return Next::tx;
    return drop(packet, reason_of(added.outcome, wanted.owner));
  }
  if (added.outcome == Outcome::exists) {
    context.connections->touch(*added.connection, Direction::forward, wanted.tcp_flags,
                               context.ticks);
  }
  const Next next = translate_as(packet, headers_of(packet), *added.connection, Direction::forward, context);
  return next == Next::route ? Next::tx : next;
}

}  // namespace weir::dataplane
