#include "dataplane/nodes/service.h"

#include "dataplane/nodes/connection.h"
#include "dataplane/nodes/new_connection.h"
#include "dataplane/nodes/route.h"

namespace weir::dataplane {
namespace {

constexpr IcmpCause kPortUnreachable{
    .type4 = kIcmp4Unreachable, .code4 = 3, .type6 = kIcmp6Unreachable, .code6 = 4};

// From a pod of this node, or from an address that belongs to the cluster.
bool is_inside(const PortInfo* port, const FlowKey& key, const StageContext& context) noexcept {
  return (port != nullptr && is_pod(*port)) || context.services->is_inside(key.family, key.source);
}

// What comes through the node's own ports is nobody's in particular: it has a quota together.
uint16_t owner_of(const Packet& packet, const PortInfo* port) noexcept {
  return port != nullptr && is_pod(*port) ? packet.in_port : kNoOwner;
}

// Replies are to come back through this node: false when it has no address for that.
bool masquerade(NewConnection& wanted, const StageContext& context) noexcept {
  const api::ServiceSettings& settings = context.services->settings();
  const bool ip4 = wanted.key.family == Family::ip4;
  const IpAddress& address = ip4 ? settings.masquerade4 : settings.masquerade6;
  if (address.is_none()) return false;
  masquerade_as(wanted, address.bytes, settings);
  return true;
}

// Keeps the client's address and lets another port stand for its own, which the client uses
// with this backend already, through another frontend.
void use_other_port(NewConnection& wanted, const StageContext& context) noexcept {
  masquerade_as(wanted, wanted.key.source, context.services->settings());
}

}  // namespace

Next ServiceStage::classify(Packet& packet, StageContext& context) noexcept {
  ServicePick pick;
  const Next next = choose(packet, context, pick);
  return next == Next::service ? connect(packet, *pick.frontend, pick.wanted, context) : next;
}

Next ServiceStage::choose(Packet& packet, const StageContext& context,
                          ServicePick& pick) noexcept {
  if (!has_ports(packet)) return not_served(packet, context);
  const FlowKey key = key_of(packet);
  const FrontendView* frontend = pick.frontend = context.services->find(key);
  if (frontend == nullptr) return not_served(packet, context);
  if (!frontend->admits(key.source)) return drop(packet, Drop::service_source_range);
  const PortInfo* port = context.port(packet.in_port);
  pick.inside = is_inside(port, key, context);
  const BackendId backend = backend_of(pick, key, context);
  if (backend == kNoBackend) return no_backend(packet, *frontend, pick.inside);
  const BackendAddress& to = context.backends->address(backend);
  pick.wanted = {.key = key,
                 .backend = to.address,
                 .backend_port = to.port,
                 .backend_id = backend,
                 .owner = owner_of(packet, port),
                 .tcp_flags = tcp_flags_of(packet)};
  const bool hairpin = to.address == key.source;
  if ((hairpin || frontend->masquerades(pick.inside)) && !masquerade(pick.wanted, context)) {
    return drop(packet, Drop::connection_no_masquerade);
  }
  return Next::service;
}

Next ServiceStage::not_served(Packet& packet, const StageContext& context) noexcept {
  const uint32_t under = Adjacency::unpack(packet.adjacency).under;
  if (under != 0) {
    packet.adjacency = context.adjacencies->load(under);
    return Route::to_adjacency(packet, context);
  }
  if (packet.l4_offset == 0) return drop(packet, Drop::service_fragment);
  if (has_ports(packet.l4_protocol))
    return reject(packet, Drop::service_no_frontend, kPortUnreachable);
  return Next::local;
}

Next ServiceStage::no_backend(Packet& packet, const FrontendView& frontend, bool inside) noexcept {
  if (frontend.drops(inside)) return drop(packet, Drop::service_not_local);
  return reject(packet, Drop::service_no_backend, kPortUnreachable);
}

// Where the client went before as long as that is usable, otherwise where the flow's hash
// leads: to the same backend after a restart, too.
BackendId ServiceStage::backend_of(ServicePick& pick, const FlowKey& key,
                                   const StageContext& context) noexcept {
  const Balance& balance = pick.frontend->group(pick.inside).balance();
  if (pick.frontend->affinity != 0) {
    const BackendId before = context.connections->find_affinity(
        key.family, key.source, pick.frontend->affinity, context.ticks);
    const BackendId like =
        before != kNoBackend ? balance.like(context.backends->address(before)) : kNoBackend;
    pick.affinity = like != kNoBackend;
    if (pick.affinity) return like;
  }
  return balance.maglev.pick(key.hash());
}

Drop ServiceStage::preview(NewConnection& wanted, const StageContext& context,
                           FlowKey& reverse) noexcept {
  using Outcome = ConnectionTable::Outcome;
  Outcome outcome = context.connections->preview(wanted, reverse);
  if (outcome == Outcome::tuple_taken && wanted.masquerade_first == 0) {
    use_other_port(wanted, context);
    outcome = context.connections->preview(wanted, reverse);
  }
  return outcome == Outcome::added ? Drop::count : reason_of(outcome, wanted.owner);
}

Next ServiceStage::connect(Packet& packet, const FrontendView& frontend, NewConnection& wanted,
                           StageContext& context) noexcept {
  using Outcome = ConnectionTable::Outcome;
  ConnectionTable::Added added = context.connections->add(context.worker, wanted, context.ticks);
  if (added.outcome == Outcome::tuple_taken && wanted.masquerade_first == 0) {
    use_other_port(wanted, context);
    added = context.connections->add(context.worker, wanted, context.ticks);
  }
  if (added.connection == nullptr) return drop(packet, reason_of(added.outcome, wanted.owner));
  if (added.outcome == Outcome::added) {
    if (frontend.affinity != 0) keep_affinity(frontend, wanted, context);
  } else {
    context.connections->touch(*added.connection, Direction::forward, wanted.tcp_flags,
                               context.ticks);
  }
  return translate_as(packet, headers_of(packet), *added.connection, Direction::forward, context);
}

void ServiceStage::keep_affinity(const FrontendView& frontend, const NewConnection& made,
                                 const StageContext& context) noexcept {
  context.connections->set_affinity(context.worker,
                                    {.client = made.key.source,
                                     .family = made.key.family,
                                     .number = frontend.affinity,
                                     .backend_id = made.backend_id,
                                     .owner = made.owner,
                                     .seconds = frontend.affinity_seconds},
                                    context.ticks);
}

}  // namespace weir::dataplane
