#include "tests/dataplane/rows.h"

namespace weir::dataplane::test {
namespace {

// UDP from pod A to `destination`, and what must come of it.
Row to4(std::string name, std::string_view destination, Drop drop) {
  return {.name = std::move(name),
          .frame = sent4(ip4({.destination = destination}, udp())),
          .drop = drop};
}
Row to6(std::string name, std::string_view destination, Drop drop) {
  return {.name = std::move(name),
          .frame = sent6(ip6({.destination = destination}, udp())),
          .drop = drop};
}
Row answered4(std::string name, std::string_view destination, Drop drop, uint8_t type,
              uint8_t code) {
  Row row = to4(std::move(name), destination, drop);
  row.out = {error4(ip4({.destination = destination}, udp()), type, code)};
  row.out_port = kPodA;
  return row;
}
Row answered6(std::string name, std::string_view destination, Drop drop, uint8_t type,
              uint8_t code) {
  Row row = to6(std::move(name), destination, drop);
  row.out = {error6(ip6({.destination = destination}, udp()), type, code)};
  row.out_port = kPodA;
  return row;
}

std::vector<Row> lookup_rows() {
  return {
      {.name = "to_host",
       .frame = sent4(ip4({.destination = "192.0.2.9"}, udp())),
       .out = {routed4(ip4({.destination = "192.0.2.9", .ttl = 63}, udp()), kMacHost)},
       .out_port = kHost},
      {.name = "back_to_own_port",
       .frame = sent4(ip4({.destination = "10.1.0.2"}, udp())),
       .out = {routed4(ip4({.destination = "10.1.0.2", .ttl = 63}, udp()), kMacA)},
       .out_port = kPodA},
      answered4("no_route", "198.51.100.1", Drop::route_none, 3, 0),
      answered6("no_route6", "2001:db9::1", Drop::route_none, 1, 0),
      to4("blackhole", "10.9.1.1", Drop::route_blackhole),
      to6("blackhole6", "fd00:9::1", Drop::route_blackhole),
      answered4("unreachable", "10.8.1.1", Drop::route_unreachable, 3, 1),
      answered6("unreachable6", "fd00:8::1", Drop::route_unreachable, 1, 0),
      answered4("unresolved", "10.7.1.1", Drop::route_unresolved, 3, 1),
      answered6("unresolved6", "fd00:7::1", Drop::route_unresolved, 1, 3),
      to4("port_gone_out", "10.5.1.1", Drop::tx_port_gone),
      to6("port_gone_out6", "fd00:5::1", Drop::tx_port_gone),
      to4("to_zero", "0.0.0.1", Drop::route_martian),
      to4("to_loopback", "127.0.0.1", Drop::route_martian),
      to4("to_reserved", "240.0.0.1", Drop::route_martian),
      answered4("to_link_local_by_table", "169.254.169.254", Drop::route_none, 3, 0),
      to4("to_multicast", "224.0.0.251", Drop::route_multicast),
      to4("to_broadcast", "255.255.255.255", Drop::route_multicast),
      {.name = "broadcast_frame",
       .frame = sent4(ip4({.destination = "255.255.255.255"}, udp()),
                      {.destination = mac("ff:ff:ff:ff:ff:ff")}),
       .drop = Drop::route_multicast},
      to6("to_unspecified6", "::", Drop::route_martian),
      to6("to_loopback6", "::1", Drop::route_martian),
      to6("to_mapped6", "::ffff:10.1.0.3", Drop::route_martian),
      to6("to_link_local6", "fe80::3", Drop::route_martian),
      to6("to_multicast6", "ff0e::1", Drop::route_multicast),
      answered6("to_unallocated6", "4000::1", Drop::route_none, 1, 0),
  };
}

Row echo4(std::string name, std::string_view gateway, const Bytes& payload) {
  const Icmp reply{.type = kIcmp4EchoReply};
  return {
      .name = std::move(name),
      .frame = sent4(
          ip4({.destination = gateway, .protocol = kProtoIcmp4, .ttl = 7}, icmp({}, payload))),
      .out = {routed4(ip4({.source = gateway, .destination = "10.1.0.2", .protocol = kProtoIcmp4},
                          icmp(reply, payload)),
                      kMacA)},
      .out_port = kPodA};
}
Row echo6(std::string name, std::string_view gateway, const Bytes& payload) {
  const Bytes request = icmp({.type = kIcmp6Echo}, payload);
  const Bytes reply = icmp({.type = kIcmp6EchoReply}, payload);
  return {.name = std::move(name),
          .frame = sent6(
              ip6({.destination = gateway, .next_header = kProtoIcmp6, .hop_limit = 1}, request)),
          .out = {routed6(
              ip6({.source = gateway, .destination = "fd00::2", .next_header = kProtoIcmp6}, reply),
              kMacA)},
          .out_port = kPodA};
}

Row ignored(std::string name, const Bytes& frame, uint16_t in = kPodA) {
  return {.name = std::move(name), .frame = frame, .in = in, .drop = Drop::local_ignored};
}

std::vector<Row> local_rows() {
  const auto to_gateway = [](uint8_t protocol, const Bytes& payload, uint16_t fragment = 0) {
    return ip4({.destination = "10.1.0.1", .protocol = protocol, .fragment = fragment}, payload);
  };
  const auto to_gateway6 = [](uint8_t protocol, const Bytes& payload) {
    return ip6({.destination = "fd00::1", .next_header = protocol}, payload);
  };
  Row expired = echo4("echo_ttl_1", "10.1.0.1", filler(8));
  expired.frame = sent4(
      ip4({.destination = "10.1.0.1", .protocol = kProtoIcmp4, .ttl = 1}, icmp({}, filler(8))));
  return {
      echo4("echo", "10.1.0.1", filler(56)),
      echo4("echo_empty", "10.1.0.1", {}),
      echo4("echo_long", "10.1.0.1", filler(1400)),
      echo4("echo_local_route", "10.6.0.1", filler(56)),
      expired,
      echo6("echo6", "fd00::1", filler(56)),
      echo6("echo6_long", "fd00::1", filler(1400)),
      echo6("echo6_link_local", "fe80::1", filler(56)),
      echo6("echo6_local_route", "fd00:6::1", filler(56)),
      {.name = "udp_to_gateway",
       .frame = sent4(to_gateway(kProtoUdp, udp())),
       .drop = Drop::local_ignored,
       .out = {error4(to_gateway(kProtoUdp, udp()), 3, 3)},
       .out_port = kPodA},
      {.name = "tcp_to_gateway6",
       .frame = sent6(to_gateway6(kProtoTcp, tcp())),
       .drop = Drop::local_ignored,
       .out = {error6(to_gateway6(kProtoTcp, tcp()), 1, 4)},
       .out_port = kPodA},
      ignored("echo_reply_to_gateway", sent4(to_gateway(kProtoIcmp4, icmp({.type = 0})))),
      ignored("echo_code", sent4(to_gateway(kProtoIcmp4, icmp({.code = 1})))),
      ignored("echo_fragment",
              sent4(to_gateway(kProtoIcmp4, icmp({}, filler(8)), kIp4MoreFragments))),
      ignored("other_protocol", sent4(to_gateway(200, filler(8)))),
      ignored("echo6_reply_to_gateway",
              sent6(to_gateway6(kProtoIcmp6, icmp({.type = kIcmp6EchoReply})))),
      ignored("echo6_with_options",
              sent6(ip6({.destination = "fd00::1", .next_header = kProtoDestinationOptions},
                        extension(kProtoIcmp6), kProtoIcmp6, icmp({.type = kIcmp6Echo})))),
      // The answer would go to the gateway itself.
      ignored("echo_from_gateway",
              sent4(ip4({.source = "10.1.0.1", .destination = "10.1.0.1", .protocol = kProtoIcmp4},
                        icmp()),
                    from(kMacHost)),
              kHost),
      {.name = "link_local_gateway_without_ip6",
       .frame =
           sent6(ip6({.source = "fd00::4", .destination = "fe80::1", .next_header = kProtoIcmp6},
                     icmp({.type = kIcmp6Echo})),
                 from(kMacC)),
       .in = kPodC,
       .drop = Drop::route_martian},
  };
}

std::vector<Row> rewrite_rows() {
  const auto expired4 = [](uint8_t ttl) { return ip4({.ttl = ttl}, udp()); };
  const auto expired6 = ip6({.hop_limit = 1}, udp());
  return {
      {.name = "ttl_2",
       .frame = sent4(expired4(2)),
       .out = {routed4(expired4(1))},
       .out_port = kPodB},
      {.name = "ttl_1",
       .frame = sent4(expired4(1)),
       .drop = Drop::rewrite_ttl_expired,
       .out = {error4(expired4(1), 11, 0)},
       .out_port = kPodA},
      {.name = "hop_limit_1",
       .frame = sent6(expired6),
       .drop = Drop::rewrite_ttl_expired,
       .out = {error6(expired6, 3, 0)},
       .out_port = kPodA},
  };
}

}  // namespace

std::vector<Row> route_rows() {
  std::vector<Row> rows;
  for (const auto& part : {lookup_rows(), local_rows(), rewrite_rows()}) {
    rows.insert(rows.end(), part.begin(), part.end());
  }
  return rows;
}

}  // namespace weir::dataplane::test
