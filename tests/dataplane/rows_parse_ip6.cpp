#include "tests/dataplane/rows.h"

namespace weir::dataplane::test {
namespace {

Bytes chained(uint8_t first, const Bytes& extensions, uint8_t protocol, const Bytes& payload,
              uint8_t hop_limit = 64) {
  return ip6({.next_header = first, .hop_limit = hop_limit}, extensions, protocol, payload);
}

Bytes cut(Bytes frame, size_t length) {
  frame.resize(length);
  return frame;
}

Row forwarded(std::string name, uint8_t first, const Bytes& extensions, uint8_t protocol,
              const Bytes& payload) {
  return {.name = std::move(name),
          .frame = sent6(chained(first, extensions, protocol, payload)),
          .out = {routed6(chained(first, extensions, protocol, payload, 63))},
          .out_port = kPodB};
}

Row dropped(std::string name, Drop drop, uint8_t first, const Bytes& extensions, uint8_t protocol,
            const Bytes& payload) {
  return {.name = std::move(name),
          .frame = sent6(chained(first, extensions, protocol, payload)),
          .drop = drop};
}

Bytes many_options(size_t count, uint8_t last) {
  Bytes chain;
  for (size_t i = 1; i < count; ++i) chain = chain + extension(kProtoDestinationOptions);
  return chain + extension(last);
}

std::vector<Row> header_rows() {
  const Bytes good = ip6({}, udp());
  return {
      {.name = "ip6_udp",
       .frame = sent6(good),
       .out = {routed6(ip6({.hop_limit = 63}, udp()))},
       .out_port = kPodB},
      {.name = "ip6_padded",
       .frame = sent6(good) + filler(9),
       .out = {routed6(ip6({.hop_limit = 63}, udp()))},
       .out_port = kPodB},
      {.name = "ip6_cut", .frame = cut(sent6(good), 14 + 39), .drop = Drop::parse_ip6_truncated},
      {.name = "ip6_missing_payload",
       .frame = cut(sent6(good), 14 + 57),
       .drop = Drop::parse_ip6_truncated},
      {.name = "ip6_version",
       .frame = sent6(ip6({.version = 4}, udp())),
       .drop = Drop::parse_ip6_version},
      {.name = "ip6_hop_limit_0",
       .frame = sent6(ip6({.hop_limit = 0}, udp())),
       .drop = Drop::parse_ip6_hop_limit_zero},
      {.name = "ip6_unicast_in_multicast_frame",
       .frame = sent6(good, {.destination = mac("33:33:00:00:00:01")}),
       .drop = Drop::parse_destination_mac},
      {.name = "ip6_tcp_cut",
       .frame = sent6(ip6({.next_header = kProtoTcp, .l4_checksum = false}, filler(19))),
       .drop = Drop::parse_l4_truncated},
      {.name = "ip6_icmp_cut",
       .frame = sent6(ip6({.next_header = kProtoIcmp6, .l4_checksum = false}, filler(7))),
       .drop = Drop::parse_l4_truncated},
  };
}

std::vector<Row> chain_rows() {
  const Drop chain = Drop::parse_ip6_extension_chain;
  const Bytes options = extension(kProtoUdp);
  return {
      forwarded("no_next_header", kProtoNone, {}, kProtoNone, {}),
      forwarded("hop_by_hop", kProtoHopByHop, options, kProtoUdp, udp()),
      forwarded("destination_options", kProtoDestinationOptions, options, kProtoUdp, udp()),
      forwarded("routing_type_4", kProtoRouting, options, kProtoUdp, udp()),
      // Authentication counts in units of 4 bytes: length 4 means 24 bytes.
      forwarded("authentication", kProtoAuthentication, Bytes{kProtoUdp, 4} + Bytes(22), kProtoUdp,
                udp()),
      forwarded("eight_extensions", kProtoDestinationOptions, many_options(8, kProtoNone),
                kProtoNone, {}),
      dropped("nine_extensions", chain, kProtoDestinationOptions, many_options(9, kProtoNone),
              kProtoNone, {}),
      dropped("hop_by_hop_second", chain, kProtoDestinationOptions,
              extension(kProtoHopByHop) + extension(kProtoUdp), kProtoUdp, udp()),
      dropped("extension_past_packet", chain, kProtoDestinationOptions, Bytes{kProtoUdp, 9, 0, 0},
              kProtoNone, filler(20)),
      dropped("extension_cut", chain, kProtoDestinationOptions, Bytes{kProtoUdp, 0, 0, 0},
              kProtoNone, {}),
      dropped("long_extension", chain, kProtoDestinationOptions, extension(kProtoUdp, 80),
              kProtoUdp, udp()),
      dropped("l4_past_snapshot", chain, kProtoDestinationOptions, extension(kProtoTcp, 56),
              kProtoTcp, tcp()),
      dropped("second_extension_past_snapshot", chain, kProtoDestinationOptions,
              extension(kProtoDestinationOptions, 72) + extension(kProtoUdp), kProtoUdp, udp()),
      dropped("routing_type_0", Drop::parse_ip6_routing_header, kProtoRouting,
              extension(kProtoUdp, 8, 0), kProtoUdp, udp()),
  };
}

std::vector<Row> fragment_rows() {
  const uint8_t fragment = kProtoFragment;
  const auto malformed = Drop::parse_ip6_fragment;
  const auto tiny = Drop::parse_ip6_tiny_fragment;
  return {
      forwarded("ip6_first_fragment", fragment, fragment_header(kProtoUdp, 0, true), kProtoUdp,
                udp(filler(16), {.checksum = 1})),
      forwarded("ip6_later_fragment", fragment, fragment_header(kProtoUdp, 24, false), kProtoNone,
                filler(5)),
      forwarded("ip6_atomic_fragment", fragment, fragment_header(kProtoUdp, 0, false), kProtoUdp,
                udp()),
      forwarded("ip6_fragment_then_options", fragment,
                fragment_header(kProtoDestinationOptions, 0, true) + extension(kProtoUdp),
                kProtoUdp, udp(filler(8))),
      dropped("ip6_fragment_twice", Drop::parse_ip6_extension_chain, fragment,
              fragment_header(kProtoFragment, 0, true) + fragment_header(kProtoUdp, 0, true),
              kProtoUdp, udp(filler(8))),
      dropped("ip6_empty_fragment", malformed, fragment, fragment_header(kProtoUdp, 8, true),
              kProtoNone, {}),
      dropped("ip6_odd_fragment", malformed, fragment, fragment_header(kProtoUdp, 0, true),
              kProtoUdp, udp(filler(9))),
      dropped("ip6_ping_of_death", malformed, fragment, fragment_header(kProtoUdp, 0xfff8, false),
              kProtoNone, filler(16)),
      dropped("ip6_tiny_tcp", tiny, fragment, fragment_header(kProtoTcp, 0, true), kProtoNone,
              filler(16)),
      dropped("ip6_tiny_tcp_options", tiny, fragment, fragment_header(kProtoTcp, 0, true),
              kProtoNone, tcp(filler(4), {.words = 8})),
      dropped("ip6_chain_cut_by_fragment", tiny, fragment,
              fragment_header(kProtoDestinationOptions, 0, true), kProtoNone,
              Bytes{kProtoUdp, 1} + Bytes(6)),
  };
}

}  // namespace

std::vector<Row> parse_ip6_rows() {
  std::vector<Row> rows;
  for (const auto& part : {header_rows(), chain_rows(), fragment_rows()}) {
    rows.insert(rows.end(), part.begin(), part.end());
  }
  return rows;
}

}  // namespace weir::dataplane::test
