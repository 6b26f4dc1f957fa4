#include "tests/dataplane/rows.h"

namespace weir::dataplane::test {
namespace {

Bytes cut(Bytes frame, size_t length) {
  frame.resize(length);
  return frame;
}

Bytes fragment4(uint16_t field, const Bytes& payload, uint8_t protocol = kProtoUdp) {
  return sent4(ip4({.protocol = protocol, .fragment = field, .l4_checksum = false}, payload));
}

constexpr uint16_t kMore = kIp4MoreFragments;

std::vector<Row> ethernet_rows() {
  const Bytes good = ip4({}, udp());
  const Bytes forwarded = routed4(ip4({.ttl = 63}, udp()));
  const Eth tagged{.vlan_tags = {0xe000}};
  return {
      {.name = "udp", .frame = sent4(good), .out = {forwarded}, .out_port = kPodB},
      {.name = "empty_frame", .frame = {}, .drop = Drop::parse_runt},
      {.name = "runt", .frame = cut(sent4(good), 13), .drop = Drop::parse_runt},
      {.name = "padded_to_60",
       .frame = cut(sent4(good), 60),
       .out = {forwarded},
       .out_port = kPodB},
      {.name = "padded_past_snapshot",
       .frame = cut(sent4(good), 400),
       .out = {forwarded},
       .out_port = kPodB},
      {.name = "padding_inside_body",
       .frame = sent4(ip4({}, udp(filler(300)))) + filler(200),
       .out = {routed4(ip4({.ttl = 63}, udp(filler(300))))},
       .out_port = kPodB},
      {.name = "other_destination",
       .frame = sent4(good, {.destination = kMacB}),
       .drop = Drop::parse_destination_mac},
      {.name = "unicast_in_broadcast_frame",
       .frame = sent4(good, {.destination = mac("ff:ff:ff:ff:ff:ff")}),
       .drop = Drop::parse_destination_mac},
      {.name = "priority_tag", .frame = sent4(good, tagged), .out = {forwarded}, .out_port = kPodB},
      {.name = "priority_tag_padded",
       .frame = cut(sent4(good, tagged), 64),
       .out = {forwarded},
       .out_port = kPodB},
      {.name = "vlan_id", .frame = sent4(good, {.vlan_tags = {0x0005}}), .drop = Drop::parse_vlan},
      {.name = "service_tag",
       .frame = sent4(good, {.vlan_tags = {0x0005}, .vlan_type = kEtherQinQ}),
       .drop = Drop::parse_vlan},
      {.name = "two_tags",
       .frame = sent4(good, {.vlan_tags = {0, 0}}),
       .drop = Drop::parse_vlan_stacked},
      {.name = "cut_tag", .frame = cut(sent4(good, tagged), 17), .drop = Drop::parse_runt},
      {.name = "ethertype", .frame = eth(0x88cc, filler(46)), .drop = Drop::parse_ethertype},
      {.name = "length_field", .frame = eth(46, filler(46)), .drop = Drop::parse_ethertype},
  };
}

std::vector<Row> ip4_header_rows() {
  const Bytes good = sent4(ip4({}, udp()));
  return {
      {.name = "ip4_cut", .frame = cut(good, 14 + 19), .drop = Drop::parse_ip4_truncated},
      {.name = "ip4_missing_payload",
       .frame = cut(good, 14 + 37),
       .drop = Drop::parse_ip4_truncated},
      {.name = "ip4_options_cut",
       .frame = sent4(ip4({.words = 15, .total_length = 60}, {})),
       .drop = Drop::parse_ip4_truncated},
      {.name = "ip4_version",
       .frame = sent4(ip4({.version = 5}, udp())),
       .drop = Drop::parse_ip4_version},
      {.name = "ip4_ihl_4",
       .frame = sent4(ip4({.words = 4}, udp())),
       .drop = Drop::parse_ip4_header_length},
      {.name = "ip4_ihl_above_total",
       .frame = sent4(ip4({.words = 6, .total_length = 23}, udp())),
       .drop = Drop::parse_ip4_header_length},
      {.name = "ip4_checksum",
       .frame = sent4(ip4({.checksum = 1}, udp())),
       .drop = Drop::parse_ip4_checksum},
      {.name = "ip4_ttl_0",
       .frame = sent4(ip4({.ttl = 0}, udp())),
       .drop = Drop::parse_ip4_ttl_zero},
      {.name = "ip4_loose_source_route",
       .frame = sent4(ip4({.options = {1, 131, 3, 4}}, udp())),
       .drop = Drop::parse_ip4_source_route},
      {.name = "ip4_strict_source_route",
       .frame = sent4(ip4({.options = {137, 3, 4, 0}}, udp())),
       .drop = Drop::parse_ip4_source_route},
      {.name = "ip4_option_length_0",
       .frame = sent4(ip4({.options = {7, 0, 0, 0}}, udp())),
       .drop = Drop::parse_ip4_options},
      {.name = "ip4_option_past_header",
       .frame = sent4(ip4({.options = {1, 1, 7, 3}}, udp())),
       .drop = Drop::parse_ip4_options},
      {.name = "ip4_option_without_length",
       .frame = sent4(ip4({.options = {1, 1, 1, 7}}, udp())),
       .drop = Drop::parse_ip4_options},
      {.name = "ip4_router_alert",
       .frame = sent4(ip4({.options = {148, 4, 0, 0}}, udp())),
       .out = {routed4(ip4({.ttl = 63, .options = {148, 4, 0, 0}}, udp()))},
       .out_port = kPodB},
      {.name = "ip4_unknown_protocol",
       .frame = sent4(ip4({.protocol = 200}, filler(3))),
       .out = {routed4(ip4({.protocol = 200, .ttl = 63}, filler(3)))},
       .out_port = kPodB},
  };
}

std::vector<Row> fragment_rows() {
  const auto forwarded = [](uint16_t field, const Bytes& payload) {
    return routed4(ip4({.ttl = 63, .fragment = field, .l4_checksum = false}, payload));
  };
  return {
      {.name = "first_fragment",
       .frame = fragment4(kMore, udp(filler(16))),
       .out = {forwarded(kMore, udp(filler(16)))},
       .out_port = kPodB},
      {.name = "later_fragment",
       .frame = fragment4(100, filler(5)),
       .out = {forwarded(100, filler(5))},
       .out_port = kPodB},
      {.name = "empty_fragment", .frame = fragment4(kMore, {}), .drop = Drop::parse_ip4_fragment},
      {.name = "odd_fragment",
       .frame = fragment4(kMore, udp(filler(9))),
       .drop = Drop::parse_ip4_fragment},
      {.name = "ping_of_death",
       .frame = fragment4(0x1fff, filler(8)),
       .drop = Drop::parse_ip4_fragment},
      {.name = "tiny_tcp",
       .frame = fragment4(kMore, filler(16), kProtoTcp),
       .drop = Drop::parse_ip4_tiny_fragment},
      {.name = "tiny_tcp_options",
       .frame = fragment4(kMore, tcp(filler(4), {.words = 8}), kProtoTcp),
       .drop = Drop::parse_ip4_tiny_fragment},
      {.name = "tcp_flags_overlap",
       .frame = fragment4(1, filler(24), kProtoTcp),
       .drop = Drop::parse_ip4_tiny_fragment},
      {.name = "fragment_tcp_words_4",
       .frame = fragment4(kMore, tcp(filler(4), {.words = 4}), kProtoTcp),
       .drop = Drop::parse_l4_truncated},
  };
}

std::vector<Row> l4_rows() {
  const auto l4 = [](uint8_t protocol, const Bytes& payload) {
    return sent4(ip4({.protocol = protocol, .l4_checksum = false}, payload));
  };
  const auto short_l4 = Drop::parse_l4_truncated;
  return {
      {.name = "tcp_cut", .frame = l4(kProtoTcp, filler(19)), .drop = short_l4},
      {.name = "tcp_words_4", .frame = l4(kProtoTcp, tcp({}, {.words = 4})), .drop = short_l4},
      {.name = "tcp_options_cut", .frame = l4(kProtoTcp, tcp({}, {.words = 6})), .drop = short_l4},
      {.name = "udp_cut", .frame = l4(kProtoUdp, filler(7)), .drop = short_l4},
      {.name = "udp_length_7",
       .frame = l4(kProtoUdp, udp(filler(4), {.length = 7})),
       .drop = short_l4},
      {.name = "udp_length_long",
       .frame = l4(kProtoUdp, udp(filler(4), {.length = 13})),
       .drop = short_l4},
      {.name = "icmp_cut", .frame = l4(kProtoIcmp4, filler(7)), .drop = short_l4},
      {.name = "sctp_cut", .frame = l4(kProtoSctp, filler(11)), .drop = short_l4},
  };
}

std::vector<Row> offload_rows() {
  const Bytes tcp_frame = sent4(ip4({.protocol = kProtoTcp}, tcp(filler(100))));
  const Bytes udp_frame = sent4(ip4({}, udp(filler(100))));
  const Offload good{.partial_checksum = true,
                     .gso = Gso::tcp4,
                     .segment_size = 50,
                     .checksum_start = 34,
                     .checksum_offset = 16};
  const auto with = [&](auto change) {
    Offload offload = good;
    change(offload);
    return offload;
  };
  const auto row = [&](std::string name, const Bytes& frame, const Offload& offload) {
    return Row{
        .name = std::move(name), .frame = frame, .drop = Drop::rx_offload, .offload = offload};
  };
  return {
      row("checksum_start", tcp_frame, with([](Offload& o) { o.checksum_start = 33; })),
      row("checksum_start_far", tcp_frame, with([](Offload& o) { o.checksum_start = 60000; })),
      row("checksum_field", tcp_frame, with([](Offload& o) { o.checksum_offset = 6; })),
      row("gso_family", tcp_frame, with([](Offload& o) { o.gso = Gso::tcp6; })),
      row("gso_size_0", tcp_frame, with([](Offload& o) { o.segment_size = 0; })),
      row("gso_without_checksum", tcp_frame, with([](Offload& o) { o.partial_checksum = false; })),
      row("gso_udp", udp_frame, with([](Offload& o) { o.checksum_offset = 6; })),
      row("offload_icmp", sent4(ip4({.protocol = kProtoIcmp4}, icmp())), good),
      row("offload_arp", eth(kEtherArp, arp()), good),
      row("offload_first_fragment", fragment4(kMore, tcp(filler(12)), kProtoTcp), good),
      row("offload_later_fragment", fragment4(100, filler(64), kProtoTcp), good),
      row("offload_later_fragment6",
          sent6(ip6({.next_header = kProtoFragment}, fragment_header(kProtoTcp, 800, false),
                    kProtoTcp, filler(64))),
          good),
  };
}

}  // namespace

std::vector<Row> parse_rows() {
  std::vector<Row> rows;
  for (const auto& part :
       {ethernet_rows(), ip4_header_rows(), fragment_rows(), l4_rows(), offload_rows()}) {
    rows.insert(rows.end(), part.begin(), part.end());
  }
  return rows;
}

}  // namespace weir::dataplane::test
