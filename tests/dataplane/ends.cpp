#include "tests/dataplane/ends.h"

namespace weir::dataplane::test {
namespace {

constexpr uint16_t kFirstLength = 24;  // of a datagram, in its first fragment

bool is_ip6(const Ends& ends) { return ends.source.find(':') != std::string_view::npos; }

Bytes sctp(const Ends& ends) {
  return sctp_header(ends.source_port, ends.destination_port) + Bytes(8) + Bytes{1, 0, 0, 4};
}

Bytes echo(const Ends& ends, uint8_t protocol) {
  const bool request = ends.destination_port == 0;
  const uint8_t type4 = request ? kIcmp4Echo : kIcmp4EchoReply;
  const uint8_t type6 = request ? kIcmp6Echo : kIcmp6EchoReply;
  const uint32_t identifier = ends.source_port | ends.destination_port;
  return icmp({.type = protocol == kProtoIcmp4 ? type4 : type6, .rest = identifier << 16 | 7});
}

Bytes l4(const Ends& ends, uint8_t protocol) {
  if (protocol == kProtoSctp) return sctp(ends);
  if (protocol == kProtoTcp)
    return tcp(
        filler(10),
        {.source = ends.source_port, .destination = ends.destination_port, .flags = kTcpSyn});
  if (protocol == kProtoIcmp4 || protocol == kProtoIcmp6) return echo(ends, protocol);
  return udp(filler(10), {.source = ends.source_port, .destination = ends.destination_port});
}

// The part of a datagram that a fragment carries.
Bytes part_of(const Ends& ends, bool first) {
  const Bytes whole =
      udp(filler(40),
          {.source = ends.source_port, .destination = ends.destination_port, .checksum = 0x1234});
  return first ? Bytes(whole.begin(), whole.begin() + kFirstLength)
               : Bytes(whole.begin() + kFirstLength, whole.end());
}

}  // namespace

Bytes sctp_header(uint16_t source, uint16_t destination) {
  return {static_cast<uint8_t>(source >> 8), static_cast<uint8_t>(source),
          static_cast<uint8_t>(destination >> 8), static_cast<uint8_t>(destination)};
}

Bytes packet(const Ends& ends, uint8_t protocol) {
  if (is_ip6(ends)) {
    return ip6({.source = ends.source,
                .destination = ends.destination,
                .next_header = protocol,
                .hop_limit = ends.ttl},
               l4(ends, protocol));
  }
  return ip4({.source = ends.source,
              .destination = ends.destination,
              .protocol = protocol,
              .ttl = ends.ttl},
             l4(ends, protocol));
}

Bytes around(const Bytes& packet, const Eth& fields) {
  return eth(packet.at(0) >> 4 == 6 ? kEtherIp6 : kEtherIp4, packet, fields);
}
Bytes in_frame(const Ends& ends, const MacAddress& source, uint8_t protocol) {
  return around(packet(ends, protocol), from(source));
}
Bytes out_frame(const Ends& ends, const MacAddress& to, uint8_t protocol) {
  return around(packet(ends, protocol), from_gateway(to));
}

Bytes fragment4(const Ends& ends, bool first, uint16_t id) {
  return ip4({.source = ends.source,
              .destination = ends.destination,
              .ttl = ends.ttl,
              .identification = id,
              .fragment = static_cast<uint16_t>(first ? kIp4MoreFragments : kFirstLength / 8),
              .l4_checksum = false},
             part_of(ends, first));
}
Bytes fragment6(const Ends& ends, bool first, size_t options) {
  const Bytes header = fragment_header(kProtoUdp, first ? 0 : kFirstLength, first, 0xabcd'1234);
  const Bytes chain = options != 0 ? extension(kProtoFragment, options) + header : header;
  return ip6({.source = ends.source,
              .destination = ends.destination,
              .next_header = options != 0 ? kProtoHopByHop : kProtoFragment,
              .hop_limit = ends.ttl,
              .l4_checksum = false},
             chain, kProtoUdp, part_of(ends, first));
}

Bytes error_about(const ErrorEnds& outer, const Ends& inner, uint8_t protocol) {
  if (is_ip6(inner)) {
    return ip6({.source = outer.source,
                .destination = outer.destination,
                .next_header = kProtoIcmp6,
                .hop_limit = outer.ttl},
               icmp({.type = 2, .rest = 1280}, packet(inner, protocol)));
  }
  return ip4({.source = outer.source,
              .destination = outer.destination,
              .protocol = kProtoIcmp4,
              .ttl = outer.ttl},
             icmp({.type = 3, .code = 4, .rest = 1000}, packet(inner, protocol)));
}

}  // namespace weir::dataplane::test
