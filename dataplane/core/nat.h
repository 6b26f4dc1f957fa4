// Rewrites addresses and ports of a parsed packet in its snapshot. Checksums change by what
// changed in what they cover (RFC 1624), so no payload is read.
//
// Threads: the worker that owns the packet.
// Sources: RFC 1624, RFC 768, RFC 9293 3.1, RFC 8200 8.1, RFC 9260 6.8, RFC 5508 (ICMP).
#pragma once

#include <optional>

#include "dataplane/core/checksum.h"
#include "dataplane/core/flow_hash.h"
#include "dataplane/core/headers.h"
#include "dataplane/core/packet.h"
#include "dataplane/tables/flow_key.h"

namespace weir::dataplane {

// Keys say here what a packet has or gets: addresses and, where it has an L4 header with
// ports (TCP, UDP, SCTP; a later fragment has none), ports. Echo has one in its identifier:
// the asker's, the other end's is 0 (RFC 5508 3.1).

// Takes the addresses out of an IP header of key.family.
inline void set_addresses(FlowKey& key, const std::byte* header) noexcept {
  if (key.family == Family::ip6) {
    const auto& ip = *reinterpret_cast<const Ip6Header*>(header);
    key.source = ip.source;
    key.destination = ip.destination;
  } else {
    const auto& ip = *reinterpret_cast<const Ip4Header*>(header);
    store(key.source.data(), ip.source.wire());
    store(key.destination.data(), ip.destination.wire());
  }
}

// Where a packet's headers are. Found once and kept, since every store that follows might
// change the packet's offsets for all the compiler knows.
struct FlowHeaders {
  Family family;
  std::byte* l3;
  std::byte* l4;
};
inline FlowHeaders headers_of(Packet& packet, Family family) noexcept {
  return {family, packet.data() + packet.l3_offset, packet.data() + packet.l4_offset};
}
inline FlowHeaders headers_of(Packet& packet) noexcept { return headers_of(packet, packet.family); }

// These are of packets that have ports. Made of whole words: they are hashed at once, and a
// load that spans several stores would wait for all of them.
inline FlowKeyRest rest_of_key(const Packet& packet, Family family) noexcept {
  static_assert(offsetof(FlowKey, source_port) == 32 && offsetof(FlowKey, family) == 37);
  return {load<uint32_t>(packet.data() + packet.l4_offset),
          packet.l4_protocol | static_cast<uint32_t>(family) << 8};
}
inline Ip4FlowKey ip4_key_of(const Packet& packet) noexcept {
  return {load<uint64_t>(&packet.l3<Ip4Header>().source), rest_of_key(packet, Family::ip4)};
}
inline Ip6FlowKey ip6_key_of(const Packet& packet) noexcept {
  const auto* at = reinterpret_cast<const std::byte*>(&packet.l3<Ip6Header>().source);
  return {{load<uint64_t>(at), load<uint64_t>(at + 8), load<uint64_t>(at + 16),
           load<uint64_t>(at + 24)},
          rest_of_key(packet, Family::ip6)};
}
inline FlowKey key_of(const Packet& packet) noexcept {
  return packet.family == Family::ip4 ? static_cast<FlowKey>(ip4_key_of(packet))
                                      : static_cast<FlowKey>(ip6_key_of(packet));
}

// Of a packet that a connection may translate; nullopt: it is of another kind.
std::optional<FlowKey> tracked_key_of(const Packet& packet) noexcept;

// By how much checksums change with addresses and ports: ones-complement sums.
struct ChecksumChange {
  uint16_t addresses = 0;  // of IPv4 headers and of pseudo-headers
  uint16_t all = 0;        // of L4 headers: addresses and ports

  // What undoes it, or itself.
  ChecksumChange reversed_if(bool reversed) const noexcept {
    return std::bit_cast<ChecksumChange>(std::bit_cast<uint32_t>(*this) ^ -uint32_t{reversed});
  }
};

// Of what two stretches of memory add to a checksum, the second in place of the first.
inline uint64_t change_of(const void* from, const void* to, size_t length) noexcept {
  return finish(add_bytes(0, from, length)) + add_bytes(0, to, length);
}
inline ChecksumChange change_between(const FlowKey& from, const FlowKey& to) noexcept {
  const uint16_t addresses = fold(change_of(&from.source, &to.source, 2 * sizeof(Ip6Bytes)));
  const uint64_t ports = change_of(&from.source_port, &to.source_port, 2 * sizeof(Be16));
  return {addresses, fold(addresses + ports)};
}

// The same for a packet with ports whose change is known already, as it is for all packets of
// a connection.
struct Translation {
  const Ip6Bytes& source;
  const Ip6Bytes& destination;
  uint32_t ports;  // as they lie in the header
  ChecksumChange change;
};
inline void translate(Packet& packet, const FlowHeaders& headers, const Translation& to) noexcept;

// Gives the packet the addresses and ports of `to`.
void translate(Packet& packet, const FlowKey& to) noexcept;

// The packet that an ICMP error is about, as far as the error quotes it.
struct Quote {
  uint16_t l3_offset = 0;  // bytes from the frame's start
  uint16_t l4_offset = 0;
  FlowKey key;  // of the quoted packet
};

// nullopt: no ICMP error, itself a fragment, or quotes neither ports nor an echo.
std::optional<Quote> quote_of(const Packet& packet) noexcept;

// Gives the quoted packet what `inner` says, and the error itself the addresses of `outer`.
void translate_error(Packet& packet, const Quote& quote, const FlowKey& inner,
                     const FlowKey& outer) noexcept;

// By how much (XOR) an SCTP checksum field changes when its ports do. Words as they lie in
// the header; `length`: bytes of the SCTP packet.
uint32_t sctp_checksum_change(uint32_t ports_before, uint32_t ports_after, size_t length) noexcept;

// Gives an SCTP header new ports; `length` as above.
void translate_sctp(std::byte* l4, uint32_t ports, size_t length) noexcept;

// Gives the packet's SCTP or echo header at `l4` new ports.
void translate_rare_l4(const Packet& packet, std::byte* l4, const Translation& to) noexcept;

inline uint32_t ports_word(uint16_t source, uint16_t destination) noexcept {
  return source | static_cast<uint32_t>(destination) << 16;
}
inline uint32_t ports_word(const FlowKey& key) noexcept {
  return ports_word(key.source_port, key.destination_port);
}

// RFC 1624, equation 3, with the change of all that a checksum covers: ~(~field + change) is
// the difference in ones' complement, where a borrow counts once more.
inline void update_checksum(Be16& field, uint16_t change) noexcept {
  const uint16_t before = field.wire();
  field.set_wire(static_cast<uint16_t>(before - change - (before < change)));
}

// RFC 768: without a checksum there is nothing to keep right; a computed 0 is sent as all
// ones.
inline void update_udp_checksum(Be16& field, uint16_t change) noexcept {
  if (field.wire() == 0) return;
  update_checksum(field, change);
  if (field.wire() == 0) [[unlikely]]
    field.set_wire(0xffff);
}

// Of an IP header, the packet's own or one that it quotes.
inline void rewrite_addresses(std::byte* header, Family family, const Ip6Bytes& source,
                              const Ip6Bytes& destination, ChecksumChange change) noexcept {
  if (family == Family::ip4) [[likely]] {
    auto& ip = *reinterpret_cast<Ip4Header*>(header);
    store(&ip.source, load<uint32_t>(source.data()));
    store(&ip.destination, load<uint32_t>(destination.data()));
    update_checksum(ip.checksum, change.addresses);
  } else {
    auto& ip = *reinterpret_cast<Ip6Header*>(header);
    ip.source = source;
    ip.destination = destination;
  }
}

inline void translate_l4(Packet& packet, std::byte* l4, const Translation& to) noexcept {
  const bool udp = packet.l4_protocol == kProtoUdp;
  if (!udp && packet.l4_protocol != kProtoTcp) [[unlikely]]
    return translate_rare_l4(packet, l4, to);
  auto& field = *reinterpret_cast<Be16*>(
      l4 + (udp ? offsetof(UdpHeader, checksum) : offsetof(TcpHeader, checksum)));
  if (packet.offload.partial_checksum) [[unlikely]] {
    // The field holds the pseudo-header's sum, not inverted; the rest is added on its way out.
    const uint32_t sum = uint32_t{field.wire()} + to.change.addresses;
    field.set_wire(static_cast<uint16_t>(sum + (sum >> 16)));
  } else if (udp) {
    update_udp_checksum(field, to.change.all);
  } else {
    update_checksum(field, to.change.all);
  }
  store(l4, to.ports);
}

inline void translate(Packet& packet, const FlowHeaders& headers, const Translation& to) noexcept {
  rewrite_addresses(headers.l3, headers.family, to.source, to.destination, to.change);
  translate_l4(packet, headers.l4, to);
}

}  // namespace weir::dataplane
