// Translates packets of known connections, both directions: addresses, ports, identifiers of
// echoes, and what ICMP errors quote of them. They go on to where the connection's packets went before, unless
// routes have changed since. All others go on unchanged, new connections to the service stage.
// sift() looks up the whole vector, so that cache misses overlap, and lets plain packets go by.
// Sources: RFC 5382, RFC 4787 and RFC 5508 (how a NAT treats TCP, UDP and ICMP).
#pragma once

#include <span>

#include "dataplane/core/stage.h"
#include "dataplane/nodes/route.h"
#include "dataplane/nodes/translation.h"
#include "dataplane/tables/connection_table.h"

namespace weir::dataplane {

struct ConnectionStage {
  static constexpr Next kNext = Next::connection;
  static constexpr Next kUsual = Next::rewrite;
  static constexpr Next kPast = Next::route;
  [[gnu::always_inline]] static std::span<const uint8_t> sift(Packet* packets,
                                                              std::span<uint8_t> waiting,
                                                              StageContext& context,
                                                              auto&& pass) noexcept;
  static Next classify(Packet& packet, StageContext& context) noexcept;
  static bool must_repick(const Connection& connection, Direction direction, uint8_t protocol,
                          uint8_t tcp_flags, const StageContext& context) noexcept;

 private:
  // Packet::flow is the FlowNumber that its lookup will probably find, or this.
  static constexpr FlowNumber kNoPorts = ~FlowNumber{0};

  [[gnu::always_inline]] static Next look_up(Packet& packet, const FlowHeaders& headers,
                                             const auto& key, StageContext& context) noexcept;
  static Next search(Packet& packet, StageContext& context) noexcept;
  static Next known(Packet& packet, const FlowHeaders& headers,
                    const ConnectionTable::Match& match, StageContext& context) noexcept;
  static bool note(const Packet& packet, const ConnectionTable::Match& match,
                   StageContext& context) noexcept;
  static bool reopens(const Connection& connection, const StageContext& context) noexcept;
  static Next forward(Packet& packet, Family family, std::atomic<uint64_t>& hop,
                      const StageContext& context) noexcept;
  static Next forward_anew(Packet& packet, std::atomic<uint64_t>& hop, uint64_t changes,
                      const StageContext& context) noexcept;
  static Next without_ports(Packet& packet, StageContext& context) noexcept;
  static Next echo(Packet& packet, const FlowKey& key, StageContext& context) noexcept;
  static void error(Packet& packet, const Quote& quote, StageContext& context) noexcept;
};

inline uint8_t tcp_flags_of(const Packet& packet) noexcept {
  // The parse stage found the whole header.
  const auto& tcp = *reinterpret_cast<const TcpHeader*>(packet.data() + packet.l4_offset);
  return packet.l4_protocol == kProtoTcp ? tcp.flags : 0;
}

// What has no ports may be an error about a connection, or a fragment of it, so it stays, behind
// the others: a later fragment comes behind the first one as before. What is translated has been
// here before.
inline std::span<const uint8_t> ConnectionStage::sift(Packet* packets, std::span<uint8_t> waiting,
                                                      StageContext& context,
                                                      auto&& pass) noexcept {
  const ConnectionTable& connections = *context.connections;
  const ConnectionFilter::View filter = connections.filter();
  std::array<uint64_t, kVectorSize> hashes;
  size_t count = 0;
  uint64_t without_ports = 0;  // a bit a packet, by index
  const auto sift_one = [&](uint8_t index, const auto& key) {
    if (!filter.may_have(key) || packets[index].translated) return pass(index);
    hashes[count] = connections.hash(key);
    connections.prefetch(hashes[count]);
    waiting[count++] = index;
  };
  for (const uint8_t index : waiting) {
    Packet& packet = packets[index];
    if (!has_ports(packet)) [[unlikely]] {
      packet.flow = kNoPorts;
      without_ports |= uint64_t{1} << index;
    } else if (packet.family == Family::ip4) [[likely]] {
      sift_one(index, ip4_key_of(packet));
    } else {
      sift_one(index, ip6_key_of(packet));
    }
  }
  connections.prefetch_records({hashes.data(), count}, [&](size_t i, FlowNumber flow) {
    packets[waiting[i]].flow = flow;
  });
  for (; without_ports != 0; without_ports &= without_ports - 1)
    waiting[count++] = static_cast<uint8_t>(std::countr_zero(without_ports));
  return waiting.first(count);
}

// Inlined by force, as what it calls is: there are two instances of the loop around it, traced
// and not, so the compiler would rather call them. By family, so that nobody asks for it again.
[[gnu::always_inline]] inline Next ConnectionStage::classify(Packet& packet,
                                                             StageContext& context) noexcept {
  if (packet.flow == kNoPorts) [[unlikely]]
    return without_ports(packet, context);
  if (packet.family == Family::ip4) [[likely]]
    return look_up(packet, headers_of(packet, Family::ip4), ip4_key_of(packet), context);
  return look_up(packet, headers_of(packet, Family::ip6), ip6_key_of(packet), context);
}

inline Next ConnectionStage::look_up(Packet& packet, const FlowHeaders& headers, const auto& key,
                                     StageContext& context) noexcept {
  if (packet.flow == 0) return Next::route;
  const auto match = context.connections->at(packet.flow);
  if (!match.is_of(key)) [[unlikely]]
    return search(packet, context);
  return known(packet, headers, match, context);
}

[[gnu::always_inline]] inline Next ConnectionStage::known(Packet& packet,
                                                          const FlowHeaders& headers,
                                                          const ConnectionTable::Match& match,
                                                          StageContext& context) noexcept {
  Connection& connection = *match.connection;
  if (!note(packet, match, context)) [[unlikely]] {
    context.connections->repick(context.worker, connection);
    return Next::route;
  }
  const Next next = translate_as(packet, headers, connection, match.direction, context);
  if (next != Next::route) [[unlikely]]
    return next;
  return forward(packet, headers.family, connection.hop(match.direction), context);
}

// Whether a client's packet is to choose a backend anew: of UDP, or while TCP opens, when its
// backend is gone; and when TCP begins again on ports that ended before. Nobody foresees a
// packet's direction, so nothing branches on that alone.
[[gnu::always_inline]] inline bool ConnectionStage::must_repick(
    const Connection& connection, Direction direction, uint8_t protocol, uint8_t tcp_flags,
    const StageContext& context) noexcept {
  const bool forward = direction == Direction::forward;
  if (protocol == kProtoUdp) return forward & !context.backends->alive(connection.backend_id);
  const bool opens = (tcp_flags & (kTcpSyn | kTcpAck)) == kTcpSyn;
  return (forward & opens) && reopens(connection, context);
}

// Marks the connection as used, or says false when the packet is to choose a backend anew.
[[gnu::always_inline]] inline bool ConnectionStage::note(const Packet& packet,
                                                         const ConnectionTable::Match& match,
                                                         StageContext& context) noexcept {
  const auto note_as = [&](uint8_t protocol, uint8_t tcp_flags) {
    if (must_repick(*match.connection, match.direction, protocol, tcp_flags, context)) [[unlikely]]
      return false;
    context.connections->touch(
        *match.connection, connection_bits(match.direction, protocol, tcp_flags), context.ticks);
    return true;
  };
  // Apart, so that a datagram pays nothing for what TCP needs.
  return packet.l4_protocol == kProtoUdp ? note_as(kProtoUdp, 0)
                                         : note_as(packet.l4_protocol, tcp_flags_of(packet));
}

// Where its addresses lead now: what the route stage would say.
[[gnu::always_inline]] inline Next ConnectionStage::forward(Packet& packet, Family family,
                                                            std::atomic<uint64_t>& hop,
                                                            const StageContext& context) noexcept {
  const uint64_t changes =
      family == Family::ip4 ? context.fib4->changes() : context.fib6->changes();
  // relaxed: a number alone; what it leads to was published before that change
  const CachedHop cached(hop.load(std::memory_order_relaxed));
  if (!cached.is_of(changes)) [[unlikely]]
    return forward_anew(packet, hop, changes, context);
  packet.adjacency = context.adjacencies->load(cached.next_hop());
  return Route::to_adjacency(packet, context);
}

}  // namespace weir::dataplane
