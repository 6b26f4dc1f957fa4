// Longest prefix match: where a packet goes. prepare() looks up the whole vector's
// destinations, so that cache misses overlap; classify() acts on the adjacency word.
// Sources: RFC 1812 5.2.4 and 5.3, RFC 4291, RFC 6890.
#pragma once

#include <span>

#include "dataplane/core/headers.h"
#include "dataplane/core/stage.h"
#include "dataplane/nodes/addresses.h"

namespace weir::dataplane {

struct Route {
  static constexpr Next kNext = Next::route;
  static constexpr Next kUsual = Next::rewrite;
  static void prepare(Packet* packets, std::span<const uint8_t> waiting,
                      StageContext& context) noexcept;
  static Next classify(Packet& packet, StageContext& context) noexcept;

 private:
  static Next to_adjacency(Packet& packet) noexcept;
  static Next unusual4(Packet& packet, uint32_t destination) noexcept;
  static Next unusual6(Packet& packet, const Ip6Bytes& destination, const PortInfo* port) noexcept;
  static Next not_a_port(Packet& packet) noexcept;
};

inline void Route::prepare(Packet* packets, std::span<const uint8_t> waiting,
                           StageContext& context) noexcept {
  std::array<Fib4::Key, kVectorSize> keys4;
  std::array<Fib6::Key, kVectorSize> keys6;
  std::array<uint8_t, kVectorSize> index4;
  std::array<uint8_t, kVectorSize> index6;
  std::array<uint32_t, kVectorSize> next_hops;
  size_t count4 = 0;
  size_t count6 = 0;
  for (const uint8_t index : waiting) {
    Packet& packet = packets[index];
    if (packet.family == Family::ip4) {
      index4[count4] = index;
      keys4[count4++] = packet.header<Ip4Header>(packet.l3_offset)->destination.raw;
    } else {
      index6[count6] = index;
      keys6[count6++] = packet.header<Ip6Header>(packet.l3_offset)->destination;
    }
  }
  const auto resolve = [&](const auto& fib, const auto& keys, const auto& index, size_t count) {
    fib.lookup(keys.data(), next_hops.data(), count);
    for (size_t i = 0; i < count; ++i) {
      packets[index[i]].adjacency = context.adjacencies->load(next_hops[i]);
    }
  };
  if (count4 != 0) resolve(*context.fib4, keys4, index4, count4);
  if (count6 != 0) resolve(*context.fib6, keys6, index6, count6);
}

inline Next Route::classify(Packet& packet, StageContext& context) noexcept {
  const PortInfo* port = context.port(packet.in_port);
  if (packet.family == Family::ip4) {
    const auto* ip = packet.header<Ip4Header>(packet.l3_offset);
    const uint8_t first = ip->destination.raw[0];
    // 0/8, 127/8, multicast, reserved and broadcast
    if (static_cast<uint8_t>(first - 1) >= 223 || first == 127) [[unlikely]] {
      return unusual4(packet, ip->destination.host());
    }
    if (port != nullptr && ip->destination.wire() == port->gateway4.ip4_wire()) return Next::local;
    return to_adjacency(packet);
  }
  const Ip6Bytes& destination = packet.header<Ip6Header>(packet.l3_offset)->destination;
  // Neither global unicast (001) nor unique local (1111110).
  if (destination[0] >> 5 != 1 && destination[0] >> 1 != 0x7e) [[unlikely]] {
    return unusual6(packet, destination, port);
  }
  if (port != nullptr && destination == port->gateway6.bytes) return Next::local;
  return to_adjacency(packet);
}

inline Next Route::to_adjacency(Packet& packet) noexcept {
  const auto port = static_cast<uint16_t>(packet.adjacency >> 48);
  if (port >= kUsablePorts) [[unlikely]]
    return not_a_port(packet);
  packet.out_port = port;
  return Next::rewrite;
}

}  // namespace weir::dataplane
