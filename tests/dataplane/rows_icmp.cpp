#include <algorithm>

#include "tests/dataplane/rows.h"

namespace weir::dataplane::test {
namespace {

constexpr size_t kQuote4 = 576 - 28;
constexpr size_t kQuote6 = 1280 - 48;

Bytes quote(const Bytes& original, size_t limit) {
  return Bytes(original.begin(),
               original.begin() + static_cast<ptrdiff_t>(std::min(limit, original.size())));
}

// Packets that expire here; about those with `no_error` nobody is told.
Row silent4(std::string name, const Ip4& fields, const Bytes& payload) {
  return {
      .name = std::move(name), .frame = sent4(ip4(fields, payload)), .drop = Drop::icmp_no_error};
}
Row silent6(std::string name, uint8_t icmp_type) {
  return {
      .name = std::move(name),
      .frame = sent6(ip6({.next_header = kProtoIcmp6, .hop_limit = 1}, icmp({.type = icmp_type}))),
      .drop = Drop::icmp_no_error};
}
Row told4(std::string name, const Ip4& fields, const Bytes& payload) {
  return {.name = std::move(name),
          .frame = sent4(ip4(fields, payload)),
          .drop = Drop::rewrite_ttl_expired,
          .out = {error4(ip4(fields, payload), 11, 0)},
          .out_port = kPodA};
}
Row told6(std::string name, const Bytes& packet) {
  return {.name = std::move(name),
          .frame = sent6(packet),
          .drop = Drop::rewrite_ttl_expired,
          .out = {error6(packet, 3, 0)},
          .out_port = kPodA};
}

std::vector<Row> silence_rows() {
  const Ip4 expired{.protocol = kProtoIcmp4, .ttl = 1};
  std::vector<Row> rows{
      silent4("about_unreachable", expired, icmp({.type = 3})),
      silent4("about_redirect", expired, icmp({.type = 5})),
      silent4("about_time_exceeded", expired, icmp({.type = 11})),
      silent4("about_parameter_problem", expired, icmp({.type = 12})),
      silent4("about_later_fragment", {.ttl = 1, .fragment = 100}, filler(8)),
      silent6("about_unreachable6", 1),
      silent6("about_too_big6", 2),
      silent6("about_unknown_error6", 127),
      {.name = "about_later_fragment6",
       .frame = sent6(ip6({.next_header = kProtoFragment, .hop_limit = 1},
                          fragment_header(kProtoUdp, 80, false), kProtoNone, filler(8))),
       .drop = Drop::icmp_no_error},
      {.name = "without_gateway",
       .frame = sent4(ip4({.source = "10.1.0.4", .ttl = 1}, udp()), from(kMacC)),
       .in = kPodC,
       .drop = Drop::icmp_no_error},
      // The echo reply is too long for its way back and may not be cut; it is weir's own.
      {.name = "about_own_packet",
       .frame = sent4(ip4({.source = "10.1.0.3",
                           .destination = "10.1.0.1",
                           .protocol = kProtoIcmp4,
                           .fragment = kIp4DontFragment},
                          icmp({}, filler(1400))),
                      from(kMacB)),
       .in = kPodB,
       .drop = Drop::icmp_no_error},
      {.name = "rate",
       .frame = sent4(ip4({.ttl = 1}, udp())),
       .drop = Drop::icmp_rate_limited,
       .prepare = [](Lab& lab) { lab.empty_icmp_bucket(kPodA); }},
  };
  return rows;
}

}  // namespace

Bytes error4(const Bytes& original, uint8_t type, uint8_t code, uint32_t rest,
             std::string_view to) {
  return routed4(ip4({.source = "10.1.0.1",
                      .destination = to,
                      .protocol = kProtoIcmp4,
                      .tos = 0xc0,
                      .identification = 0,
                      .fragment = kIp4DontFragment},
                     icmp({.type = type, .code = code, .rest = rest}, quote(original, kQuote4))),
                 kMacA);
}

Bytes error6(const Bytes& original, uint8_t type, uint8_t code, uint32_t rest,
             std::string_view to) {
  return routed6(ip6({.source = "fd00::1", .destination = to, .next_header = kProtoIcmp6},
                     icmp({.type = type, .code = code, .rest = rest}, quote(original, kQuote6))),
                 kMacA);
}

std::vector<Row> icmp_rows() {
  std::vector<Row> rows = silence_rows();
  const Ip4 expired{.ttl = 1};
  for (const size_t payload : {0, 1, 85, 86, 87, 100, 519, 520, 521, 1000, 1472}) {
    rows.push_back(told4("quote_" + std::to_string(payload), expired, udp(filler(payload))));
  }
  for (const size_t payload : {0, 1, 66, 67, 1183, 1184, 1185, 1400}) {
    rows.push_back(
        told6("quote6_" + std::to_string(payload), ip6({.hop_limit = 1}, udp(filler(payload)))));
  }
  rows.push_back(told4("about_echo", {.protocol = kProtoIcmp4, .ttl = 1}, icmp()));
  rows.push_back(told4("about_first_fragment",
                       {.ttl = 1, .fragment = kIp4MoreFragments, .l4_checksum = false},
                       udp(filler(8))));
  rows.push_back(told4("about_options", {.ttl = 1, .options = Bytes(40, 1)}, udp(filler(900))));
  rows.push_back(
      told6("about_echo6", ip6({.next_header = kProtoIcmp6, .hop_limit = 1}, icmp({.type = 128}))));
  Row tagged = told4("about_tagged", expired, udp(filler(900)));
  tagged.frame = sent4(ip4(expired, udp(filler(900))), {.vlan_tags = {0}});
  rows.push_back(tagged);
  return rows;
}

std::vector<Row> all_rows() {
  std::vector<Row> rows;
  for (const auto& part : {parse_rows(), parse_ip6_rows(), source_rows(), neighbor_rows(),
                           route_rows(), mtu_rows(), icmp_rows(), police_rows(),
                           service_rows(), masquerade_rows()}) {
    rows.insert(rows.end(), part.begin(), part.end());
  }
  return rows;
}

}  // namespace weir::dataplane::test
