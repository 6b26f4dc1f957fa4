#include "dataplane/nodes/route.h"

#include "dataplane/core/flow_hash.h"

namespace weir::dataplane {
namespace {

constexpr IcmpCause kNoRoute{
    .type4 = kIcmp4Unreachable, .code4 = 0, .type6 = kIcmp6Unreachable, .code6 = 0};
constexpr IcmpCause kHostUnreachable{
    .type4 = kIcmp4Unreachable, .code4 = 1, .type6 = kIcmp6Unreachable, .code6 = 0};
constexpr IcmpCause kAddressUnreachable{
    .type4 = kIcmp4Unreachable, .code4 = 1, .type6 = kIcmp6Unreachable, .code6 = 3};
constexpr uint32_t kBroadcast = 0xffff'ffff;

}  // namespace

// 169.254/16 is no exception here: nodes serve pods on such addresses (node-local DNS,
// instance metadata), so the table decides.
Next Route::unusual4(Packet& packet, uint32_t destination) noexcept {
  const bool multicast = destination >> 28 == 0xe || destination == kBroadcast;
  return drop(packet, multicast ? Drop::route_multicast : Drop::route_martian);
}

Next Route::unusual6(Packet& packet, const Ip6Bytes& destination, const StageContext& context) noexcept {
  if (is_multicast6(destination)) return drop(packet, Drop::route_multicast);
  if (is_link_local6(destination)) {
    const PortInfo* port = context.port(packet.in_port);
    const bool gateway = destination == kGatewayLinkLocal && port != nullptr &&
                         port->gateway6.is_ip6() && port->kind != api::PortKind::uplink;
    return gateway ? Next::local : drop(packet, Drop::route_martian);
  }
  if (is_host_only6(destination)) return drop(packet, Drop::route_martian);
  return to_adjacency(packet, context);
}

// What a service made of a packet never goes to services again.
Next Route::to_service(Packet& packet, uint32_t under, const StageContext& context) noexcept {
  if (!packet.translated) return Next::service;
  packet.adjacency = context.adjacencies->load(under);
  return to_adjacency(packet, context);
}

Next Route::not_a_port(Packet& packet, const StageContext& context) noexcept {
  const Adjacency adjacency = Adjacency::unpack(packet.adjacency);
  switch (adjacency.kind) {
    case AdjacencyKind::local: return Next::local;
    case AdjacencyKind::service: return to_service(packet, adjacency.under, context);
    case AdjacencyKind::resolve: return Next::punt;
    case AdjacencyKind::multipath:
      packet.adjacency = context.adjacencies->choose(adjacency.under, flow_hash(packet));
      return to_adjacency(packet, context);
    case AdjacencyKind::blackhole: return drop(packet, Drop::route_blackhole);
    case AdjacencyKind::unreachable:
      return reject(packet, Drop::route_unreachable, kHostUnreachable);
    case AdjacencyKind::unresolved:
      return reject(packet, Drop::route_unresolved, kAddressUnreachable);
    default: return reject(packet, Drop::route_none, kNoRoute);
  }
}

}  // namespace weir::dataplane
