#include "tests/dataplane/rows.h"

namespace weir::dataplane::test {
namespace {

constexpr uint8_t kSourceLinkLayer = 1;
constexpr uint8_t kTargetLinkLayer = 2;
const MacAddress kBroadcastMac = mac("ff:ff:ff:ff:ff:ff");

Row arp_row(std::string name, const ArpFields& fields, Drop drop) {
  return {.name = std::move(name),
          .frame = eth(kEtherArp, arp(fields), {.destination = kBroadcastMac}),
          .drop = drop};
}

Bytes arp_answer(std::string_view to) {
  return eth(kEtherArp,
             arp({.operation = 2,
                  .sender_mac = kGatewayMac,
                  .sender = "10.1.0.1",
                  .target_mac = kMacA,
                  .target = to}),
             from_gateway(kMacA));
}

std::vector<Row> arp_rows() {
  const Bytes request = eth(kEtherArp, arp(), {.destination = kBroadcastMac});
  return {
      {.name = "arp_request", .frame = request, .out = {arp_answer("10.1.0.2")}, .out_port = kPodA},
      {.name = "arp_padded",
       .frame = request + Bytes(18),
       .out = {arp_answer("10.1.0.2")},
       .out_port = kPodA},
      {.name = "arp_unicast_request",
       .frame = eth(kEtherArp, arp()),
       .out = {arp_answer("10.1.0.2")},
       .out_port = kPodA},
      {.name = "arp_probe",
       .frame = eth(kEtherArp, arp({.sender = "0.0.0.0"}), {.destination = kBroadcastMac}),
       .out = {arp_answer("0.0.0.0")},
       .out_port = kPodA},
      {.name = "arp_cut",
       .frame = Bytes(request.begin(), request.begin() + 41),
       .drop = Drop::arp_malformed},
      arp_row("arp_hardware", {.hardware = 6}, Drop::arp_malformed),
      arp_row("arp_protocol", {.protocol = kEtherIp6}, Drop::arp_malformed),
      arp_row("arp_operation", {.operation = 3}, Drop::arp_malformed),
      arp_row("arp_reply", {.operation = 2}, Drop::arp_reply_ignored),
      arp_row("arp_announcement", {.target = "10.1.0.2"}, Drop::arp_reply_ignored),
      arp_row("arp_for_pod_b", {.target = "10.1.0.3"}, Drop::arp_not_gateway),
      arp_row("arp_probe_own", {.sender = "0.0.0.0", .target = "10.1.0.2"}, Drop::arp_not_gateway),
      {.name = "arp_without_gateway",
       .frame = eth(kEtherArp, arp({.sender_mac = kMacC, .sender = "10.1.0.4"}), from(kMacC)),
       .in = kPodC,
       .drop = Drop::arp_not_gateway},
  };
}

struct Solicitation {
  std::string_view source = "fd00::2";
  std::string_view destination = "ff02::1:ff00:1";
  std::string_view target = "fd00::1";
  uint8_t type = kIcmp6NeighborSolicitation;
  uint8_t code = 0;
  uint8_t hop_limit = 255;
  uint16_t checksum = 0;
  bool option = true;
};

Bytes message_of(const Solicitation& s) {
  Bytes body = nd_body(s.target, kSourceLinkLayer, kMacA);
  if (!s.option) body.resize(16);
  return icmp({.type = s.type, .code = s.code, .rest = 0, .checksum = s.checksum}, body);
}

Bytes solicit(const Solicitation& s = {}) {
  return sent6(ip6({.source = s.source,
                    .destination = s.destination,
                    .next_header = kProtoIcmp6,
                    .hop_limit = s.hop_limit},
                   message_of(s)),
               {.destination = mac("33:33:ff:00:00:01")});
}

Bytes advertise(std::string_view target, std::string_view to, uint32_t flags,
                const MacAddress& to_mac = kMacA) {
  const Bytes message = icmp({.type = kIcmp6NeighborAdvertisement, .rest = flags},
                             nd_body(target, kTargetLinkLayer, kGatewayMac));
  return sent6(
      ip6({.source = target, .destination = to, .next_header = kProtoIcmp6, .hop_limit = 255},
          message),
      from_gateway(to_mac));
}

// A solicitation whose bytes after the target are `options`.
Bytes with_options(const Bytes& options) {
  Bytes body = nd_body("fd00::1", kSourceLinkLayer, kMacA);
  body.resize(16);
  return sent6(ip6({.destination = "ff02::1:ff00:1", .next_header = kProtoIcmp6, .hop_limit = 255},
                   icmp({.type = kIcmp6NeighborSolicitation, .rest = 0}, body + options)),
               {.destination = mac("33:33:ff:00:00:01")});
}

std::vector<Row> solicitation_rows() {
  constexpr uint32_t kAnswer = 0xe000'0000;       // router, solicited, override
  constexpr uint32_t kProbeAnswer = 0xa000'0000;  // router, override
  return {
      {.name = "nd_request",
       .frame = solicit(),
       .out = {advertise("fd00::1", "fd00::2", kAnswer)},
       .out_port = kPodA},
      {.name = "nd_without_option",
       .frame = solicit({.option = false}),
       .out = {advertise("fd00::1", "fd00::2", kAnswer)},
       .out_port = kPodA},
      {.name = "nd_from_link_local",
       .frame = solicit({.source = "fe80::2"}),
       .out = {advertise("fd00::1", "fe80::2", kAnswer)},
       .out_port = kPodA},
      {.name = "nd_for_link_local_gateway",
       .frame = solicit({.target = "fe80::1"}),
       .out = {advertise("fe80::1", "fd00::2", kAnswer)},
       .out_port = kPodA},
      {.name = "nd_probe_of_gateway",
       .frame = solicit({.source = "::", .option = false}),
       .out = {advertise("fd00::1", "ff02::1", kProbeAnswer, mac("33:33:00:00:00:01"))},
       .out_port = kPodA},
      {.name = "nd_unknown_option",
       .frame = with_options({14, 1, 1, 2, 3, 4, 5, 6}),
       .out = {advertise("fd00::1", "fd00::2", kAnswer)},
       .out_port = kPodA},
      {.name = "nd_for_pod_b",
       .frame = solicit({.target = "fd00::3"}),
       .drop = Drop::nd_not_gateway},
      {.name = "nd_without_gateway",
       .frame = sent6(ip6({.source = "fd00::4",
                           .destination = "ff02::1:ff00:1",
                           .next_header = kProtoIcmp6,
                           .hop_limit = 255},
                          message_of({.option = false})),
                      {.destination = mac("33:33:ff:00:00:01"), .source = kMacC}),
       .in = kPodC,
       .drop = Drop::nd_not_gateway},
      {.name = "nd_probe_own",
       .frame = solicit(
           {.source = "::", .destination = "ff02::1:ff00:2", .target = "fd00::2", .option = false}),
       .drop = Drop::nd_ignored},
  };
}

std::vector<Row> malformed_rows() {
  const auto bad = [](std::string name, const Bytes& frame) {
    return Row{.name = std::move(name), .frame = frame, .drop = Drop::nd_malformed};
  };
  const Bytes fragmented =
      ip6({.destination = "ff02::1:ff00:1", .next_header = kProtoFragment, .hop_limit = 255},
          fragment_header(kProtoIcmp6, 0, false), kProtoIcmp6, message_of({}));
  return {
      bad("nd_hop_limit", solicit({.hop_limit = 254})),
      bad("nd_code", solicit({.code = 1})),
      bad("nd_checksum", solicit({.checksum = 0x1234})),
      bad("nd_multicast_target", solicit({.target = "ff02::1"})),
      bad("nd_probe_with_option", solicit({.source = "::"})),
      bad("nd_probe_to_unicast",
          solicit({.source = "::", .destination = "ff02::2", .option = false})),
      bad("nd_option_length_0", with_options({14, 0, 0, 0, 0, 0, 0, 0})),
      bad("nd_option_past_message", with_options({14, 2, 0, 0, 0, 0, 0, 0})),
      bad("nd_option_cut", with_options({14, 1, 0, 0})),
      bad("nd_past_snapshot", with_options(Bytes{14, 10} + Bytes(78))),
      bad("nd_fragment", sent6(fragmented, {.destination = mac("33:33:ff:00:00:01")})),
      bad("nd_short",
          sent6(ip6({.destination = "fd00::1", .next_header = kProtoIcmp6, .hop_limit = 255},
                    icmp({.type = kIcmp6NeighborSolicitation}, filler(8))))),
  };
}

std::vector<Row> ignored_rows() {
  const auto row = [](std::string name, const Bytes& message, uint8_t hop_limit) {
    return Row{.name = std::move(name),
               .frame = sent6(ip6({.source = "fe80::2",
                                   .destination = "ff02::2",
                                   .next_header = kProtoIcmp6,
                                   .hop_limit = hop_limit},
                                  message),
                              {.destination = mac("33:33:00:00:00:02")}),
               .drop = Drop::nd_ignored};
  };
  return {
      row("router_solicitation", icmp({.type = kIcmp6RouterSolicitation, .rest = 0}, {}), 255),
      row("router_advertisement", icmp({.type = 134, .rest = 0}, Bytes(8)), 255),
      row("neighbor_advertisement",
          icmp({.type = kIcmp6NeighborAdvertisement, .rest = 0},
               nd_body("fe80::2", kTargetLinkLayer, kMacA)),
          255),
      row("redirect", icmp({.type = kIcmp6Redirect, .rest = 0}, Bytes(32)), 255),
      row("listener_report", icmp({.type = kIcmp6Mld2Report, .rest = 0}, {}), 1),
  };
}

}  // namespace

std::vector<Row> neighbor_rows() {
  std::vector<Row> rows;
  for (const auto& part : {arp_rows(), solicitation_rows(), malformed_rows(), ignored_rows()}) {
    rows.insert(rows.end(), part.begin(), part.end());
  }
  return rows;
}

}  // namespace weir::dataplane::test
