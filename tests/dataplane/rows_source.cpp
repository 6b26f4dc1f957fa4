#include "tests/dataplane/rows.h"

namespace weir::dataplane::test {
namespace {

constexpr uint8_t kSourceLinkLayer = 1;

Row ip4_from(std::string name, std::string_view source, Drop drop, uint16_t in = kPodA) {
  return {.name = std::move(name),
          .frame = sent4(ip4({.source = source}, udp()), from(in == kHost ? kMacHost : kMacA)),
          .in = in,
          .drop = drop};
}

Row ip6_from(std::string name, std::string_view source, Drop drop, uint16_t in = kPodA) {
  return {.name = std::move(name),
          .frame = sent6(ip6({.source = source}, udp()), from(in == kHost ? kMacHost : kMacA)),
          .in = in,
          .drop = drop};
}

Row arp_from(std::string name, const ArpFields& fields) {
  return {.name = std::move(name), .frame = eth(kEtherArp, arp(fields)), .drop = Drop::source_arp};
}

Row solicitation_from(std::string name, std::string_view source, const MacAddress& option,
                      Drop drop) {
  const Bytes message = icmp({.type = kIcmp6NeighborSolicitation, .rest = 0},
                             nd_body("fd00::1", kSourceLinkLayer, option));
  return {.name = std::move(name),
          .frame = sent6(ip6({.source = source,
                              .destination = "ff02::1:ff00:1",
                              .next_header = kProtoIcmp6,
                              .hop_limit = 255},
                             message),
                         {.destination = mac("33:33:ff:00:00:01")}),
          .drop = drop};
}

std::vector<Row> trusted_rows() {
  return {
      {.name = "host_sends_from_anywhere",
       .frame = sent4(ip4({.source = "198.51.100.7"}, udp()), from(mac("02:11:22:33:44:55"))),
       .in = kHost,
       .out = {routed4(ip4({.source = "198.51.100.7", .ttl = 63}, udp()))},
       .out_port = kPodB},
      {.name = "host_sends_from_anywhere6",
       .frame = sent6(ip6({.source = "2001:db8::7"}, udp()), from(kMacHost)),
       .in = kHost,
       .out = {routed6(ip6({.source = "2001:db8::7", .hop_limit = 63}, udp()))},
       .out_port = kPodB},
      ip4_from("host_loopback", "127.0.0.1", Drop::source_martian, kHost),
      ip6_from("host_link_local", "fe80::9", Drop::source_martian, kHost),
      ip6_from("host_documentation_prefix_of_old", "5f00::1", Drop::count, kHost),
  };
}

}  // namespace

std::vector<Row> source_rows() {
  std::vector<Row> rows{
      {.name = "source_mac", .frame = sent4(ip4({}, udp()), from(kMacB)), .drop = Drop::source_mac},
      {.name = "source_mac_multicast",
       .frame = sent4(ip4({}, udp()), from(mac("03:00:00:00:00:0a"))),
       .drop = Drop::source_mac},
      {.name = "port_gone",
       .frame = sent4(ip4({}, udp())),
       .in = kGone,
       .drop = Drop::source_port_gone},
      ip4_from("ip4_of_pod_b", "10.1.0.3", Drop::source_ip4),
      ip4_from("ip4_of_gateway", "10.1.0.1", Drop::source_ip4),
      ip4_from("ip4_link_local", "169.254.1.1", Drop::source_ip4),
      ip4_from("ip4_unspecified", "0.0.0.0", Drop::source_martian),
      ip4_from("ip4_loopback", "127.1.2.3", Drop::source_martian),
      ip4_from("ip4_multicast", "224.0.0.1", Drop::source_martian),
      ip4_from("ip4_reserved", "240.0.0.1", Drop::source_martian),
      ip4_from("ip4_broadcast", "255.255.255.255", Drop::source_martian),
      ip6_from("ip6_of_pod_b", "fd00::3", Drop::source_ip6),
      ip6_from("ip6_global", "2001:db8::1", Drop::source_ip6),
      ip6_from("ip6_link_local", "fe80::2", Drop::source_ip6),
      ip6_from("ip6_unallocated", "4000::1", Drop::source_ip6),
      ip6_from("ip6_unspecified", "::", Drop::source_martian),
      ip6_from("ip6_loopback", "::1", Drop::source_martian),
      ip6_from("ip6_mapped", "::ffff:10.1.0.2", Drop::source_martian),
      ip6_from("ip6_multicast", "ff02::1", Drop::source_martian),
      arp_from("arp_sender_mac", {.sender_mac = kMacB}),
      arp_from("arp_sender_ip", {.sender = "10.1.0.3"}),
      arp_from("arp_reply_for_pod_b", {.operation = 2, .sender = "10.1.0.3", .target = "10.1.0.1"}),
      solicitation_from("nd_source", "fd00::3", kMacA, Drop::source_nd),
      solicitation_from("nd_option", "fd00::2", kMacB, Drop::source_nd),
      solicitation_from("nd_multicast_source", "ff02::1", kMacA, Drop::source_martian),
      solicitation_from("nd_loopback_source", "::1", kMacA, Drop::source_martian),
  };
  for (Row& row : trusted_rows()) rows.push_back(std::move(row));
  rows.back().out = {routed6(ip6({.source = "5f00::1", .hop_limit = 63}, udp()))};
  rows.back().out_port = kPodB;
  return rows;
}

}  // namespace weir::dataplane::test
