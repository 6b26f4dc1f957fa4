// Longest prefix match: where a packet goes. prepare() looks up the whole vector's
// destinations, so that cache misses overlap; classify() acts on the adjacency word.
// Sources: RFC 1812 5.2.4 and 5.3, RFC 4291, RFC 6890.
#pragma once

#include <algorithm>
#include <bit>
#include <span>

#include "dataplane/core/headers.h"
#include "dataplane/core/routable.h"
#include "dataplane/core/stage.h"
#include "dataplane/nodes/addresses.h"

namespace weir::dataplane {

struct Route {
  static constexpr Next kNext = Next::route;
  static constexpr Next kUsual = Next::rewrite;
  static void prepare(Packet* packets, std::span<const uint8_t> waiting,
                      StageContext& context) noexcept;
  static Next classify(Packet& packet, StageContext& context) noexcept;
  // Where packet.adjacency leads.
  static Next to_adjacency(Packet& packet, const StageContext& context) noexcept;

 private:
  template <class Header>
  static void resolve(Packet* packets, std::span<const uint8_t> waiting, const auto& fib,
                      const StageContext& context) noexcept;
  static void resolve_runs6(Packet* packets, std::span<const uint8_t> waiting,
                            const StageContext& context) noexcept;
  static const Fib4::Key& key_of(const Be32& address) noexcept { return address.raw; }
  static const Fib6::Key& key_of(const Ip6Bytes& address) noexcept { return address; }
  static Next unusual4(Packet& packet, uint32_t destination) noexcept;
  static Next unusual6(Packet& packet, const Ip6Bytes& destination, const StageContext& context) noexcept;
  static Next not_a_port(Packet& packet, const StageContext& context) noexcept;
  static Next to_service(Packet& packet, uint32_t under, const StageContext& context) noexcept;
};

inline void Route::prepare(Packet* packets, std::span<const uint8_t> waiting,
                           StageContext& context) noexcept {
  const auto is_ip4 = [&](uint8_t index) { return packets[index].family == Family::ip4; };
  size_t count4 = 0;
  for (const uint8_t index : waiting) count4 += is_ip4(index);
  if (count4 == waiting.size()) return resolve<Ip4Header>(packets, waiting, *context.fib4, context);
  std::array<uint8_t, kVectorSize> by_family;
  std::partition_copy(waiting.begin(), waiting.end(), by_family.begin(), by_family.begin() + count4, is_ip4);
  resolve<Ip4Header>(packets, {by_family.data(), count4}, *context.fib4, context);
  resolve_runs6(packets, {by_family.data() + count4, waiting.size() - count4}, context);
}

// An IPv6 lookup costs more than a comparison of two addresses: packets in a row with the
// same destination share one. (IPv4: measured, and not worth it.)
inline void Route::resolve_runs6(Packet* packets, std::span<const uint8_t> waiting,
                                 const StageContext& context) noexcept {
  std::array<uint8_t, kVectorSize> leads;
  size_t lead_count = 0;
  uint64_t followers = 0;  // bit i: waiting[i] goes where waiting[i - 1] goes
  const Ip6Bytes* last = nullptr;
  for (size_t i = 0; i < waiting.size(); ++i) {
    const Ip6Bytes& to = packets[waiting[i]].l3<Ip6Header>().destination;
    const bool follows = last != nullptr && to == *last;
    followers |= uint64_t{follows} << i;
    leads[lead_count] = waiting[i];
    lead_count += !follows;
    last = &to;
  }
  resolve<Ip6Header>(packets, {leads.data(), lead_count}, *context.fib6, context);
  for (; followers != 0; followers &= followers - 1) {
    const auto i = static_cast<size_t>(std::countr_zero(followers));
    packets[waiting[i]].adjacency = packets[waiting[i - 1]].adjacency;
  }
}

template <class Header>
inline void Route::resolve(Packet* packets, std::span<const uint8_t> waiting, const auto& fib,
                           const StageContext& context) noexcept {
  using Key = typename std::remove_cvref_t<decltype(fib)>::Key;
  fib.lookup(
      waiting.size(),
      [&](size_t i) -> const Key& {
        return key_of(std::as_const(packets[waiting[i]]).template l3<Header>().destination);
      },
      [&](size_t i, uint32_t next_hop) { packets[waiting[i]].adjacency = context.adjacencies->load(next_hop); });
}

inline Next Route::classify(Packet& packet, StageContext& context) noexcept {
  if (packet.family == Family::ip4) {
    const auto& ip = packet.l3<Ip4Header>();
    if (!routable4(ip.destination.raw[0])) [[unlikely]] {
      return unusual4(packet, ip.destination.host());
    }
    return to_adjacency(packet, context);
  }
  const Ip6Bytes& destination = packet.l3<Ip6Header>().destination;
  if (!routable6(destination[0])) [[unlikely]] {
    return unusual6(packet, destination, context);
  }
  return to_adjacency(packet, context);
}

inline Next Route::to_adjacency(Packet& packet, const StageContext& context) noexcept {
  const auto port = static_cast<uint16_t>(packet.adjacency >> 48);
  if (port >= kUsablePorts) [[unlikely]]
    return not_a_port(packet, context);
  packet.out_port = port;
  return Next::rewrite;
}

}  // namespace weir::dataplane
