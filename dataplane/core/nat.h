// Rewrites addresses and ports of a parsed packet in its snapshot. Checksums change by what
// changed in what they cover (RFC 1624), so no payload is read.
//
// Threads: the worker that owns the packet.
// Sources: RFC 1624, RFC 768, RFC 9293 3.1, RFC 8200 8.1, RFC 9260 6.8, RFC 5508 (ICMP).
#pragma once

#include <optional>

#include "dataplane/core/checksum.h"
#include "dataplane/core/headers.h"
#include "dataplane/core/packet.h"
#include "dataplane/tables/flow_key.h"

namespace weir::dataplane {

// Keys say here what a packet has or gets: addresses and, where it has an L4 header with
// ports (TCP, UDP, SCTP; a later fragment has none), ports.

inline bool has_ports(uint8_t protocol) noexcept {
  return protocol == kProtoTcp || protocol == kProtoUdp || protocol == kProtoSctp;
}

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

// Of a packet that has ports.
inline FlowKey key_of(const Packet& packet) noexcept {
  const std::byte* ports = packet.data() + packet.l4_offset;
  FlowKey key{.source_port = load<uint16_t>(ports),
              .destination_port = load<uint16_t>(ports + sizeof(Be16)),
              .protocol = packet.l4_protocol,
              .family = packet.family};
  set_addresses(key, packet.data() + packet.l3_offset);
  return key;
}

// Gives the packet the addresses and ports of `to`.
void translate(Packet& packet, const FlowKey& to) noexcept;

// Whether translate() can keep the checksum right: that of SCTP covers the whole datagram,
// whose length a first fragment does not tell, so there its ports must stay.
bool translatable(const Packet& packet, const FlowKey& to) noexcept;

// The packet that an ICMP error is about, as far as the error quotes it.
struct Quote {
  uint16_t l3_offset = 0;  // bytes from the frame's start
  uint16_t l4_offset = 0;
  FlowKey key;  // of the quoted packet
};

// nullopt: no ICMP error, itself a fragment, or quotes no TCP, UDP or SCTP ports.
std::optional<Quote> quote_of(const Packet& packet) noexcept;

// Gives the quoted packet what `inner` says, and the error itself the addresses of `outer`.
void translate_error(Packet& packet, const Quote& quote, const FlowKey& inner,
                     const FlowKey& outer) noexcept;

// By how much (XOR) an SCTP checksum field changes when its ports do. Words as they lie in
// the header; `length`: bytes of the SCTP packet.
uint32_t sctp_checksum_change(uint32_t ports_before, uint32_t ports_after, size_t length) noexcept;

}  // namespace weir::dataplane
