// Packets to services and back, and what ICMP errors and fragments of them become.
#include "tests/dataplane/ends.h"
#include "tests/dataplane/rows.h"
#include "tests/dataplane/services.h"

namespace weir::dataplane::test {
namespace {

constexpr Ends kToVip4{"10.1.0.2", kClientPort, kVip4, 80};
constexpr Ends kToVip6{"fd00::2", kClientPort, kVip6, 80};
constexpr Ends kToB4{"10.1.0.2", kClientPort, "10.1.0.3", 8080, 63};
constexpr Ends kToB6{"fd00::2", kClientPort, "fd00::3", 8080, 63};
constexpr Ends kFromB4{"10.1.0.3", 8080, "10.1.0.2", kClientPort};
constexpr Ends kFromB6{"fd00::3", 8080, "fd00::2", kClientPort};
constexpr Ends kFromVip4{kVip4, 80, "10.1.0.2", kClientPort, 63};
constexpr Ends kFromVip6{kVip6, 80, "fd00::2", kClientPort, 63};
constexpr Ends kOutsideToVip{"192.0.2.7", kClientPort, kVip4, 85};

template <uint8_t kProtocol>
void opened(Lab& lab) {
  serve(lab);
  lab.run(in_frame(kToVip4, kMacA, kProtocol));
  lab.run(in_frame(kToVip6, kMacA, kProtocol));
}

template <uint8_t kProtocol>
void add_balanced_rows(std::vector<Row>& rows, const std::string& name) {
  for (const bool ip6 : {false, true}) {
    const std::string family = ip6 ? "6" : "";
    const Bytes request = in_frame(ip6 ? kToVip6 : kToVip4, kMacA, kProtocol);
    const std::vector<Bytes> translated{out_frame(ip6 ? kToB6 : kToB4, kMacB, kProtocol)};
    rows.push_back({.name = "opens_" + name + family,
                    .frame = request,
                    .out = translated,
                    .out_port = kPodB,
                    .prepare = serve});
    rows.push_back({.name = "hits_" + name + family,
                    .frame = request,
                    .out = translated,
                    .out_port = kPodB,
                    .prepare = opened<kProtocol>});
    rows.push_back({.name = "returns_" + name + family,
                    .frame = in_frame(ip6 ? kFromB6 : kFromB4, kMacB, kProtocol),
                    .in = kPodB,
                    .out = {out_frame(ip6 ? kFromVip6 : kFromVip4, kMacA, kProtocol)},
                    .out_port = kPodA,
                    .prepare = opened<kProtocol>});
  }
}

Row refused(std::string name, Ends to, Drop drop) {
  const Bytes original = packet(to);
  const bool ip6 = original[0] >> 4 == 6;
  return {.name = std::move(name),
          .frame = in_frame(to, kMacA),
          .drop = drop,
          .out = {ip6 ? error6(original, 1, 4) : error4(original, 3, 3)},
          .out_port = kPodA,
          .prepare = serve};
}

Row silent(std::string name, const Ends& to, Drop drop, void (*prepare)(Lab&) = serve) {
  return {.name = std::move(name), .frame = in_frame(to, kMacA), .drop = drop, .prepare = prepare};
}

std::vector<Row> refusal_rows() {
  const auto vip4 = [](uint16_t port) { return Ends{"10.1.0.2", kClientPort, kVip4, port}; };
  const auto vip6 = [](uint16_t port) { return Ends{"fd00::2", kClientPort, kVip6, port}; };
  return {
      refused("no_backend", vip4(81), Drop::service_no_backend),
      refused("no_backend6", vip6(81), Drop::service_no_backend),
      refused("no_frontend", vip4(9999), Drop::service_no_frontend),
      refused("no_frontend6", vip6(9999), Drop::service_no_frontend),
      silent("not_local", vip4(82), Drop::service_not_local),
      silent("not_local6", vip6(82), Drop::service_not_local),
      silent("source_range", vip4(84), Drop::service_source_range),
      silent("quota", vip4(80), Drop::connection_quota,
             [](Lab& lab) {
               serve(lab);
               lab.connections().set_quota(1);
               lab.run(in_frame({"10.1.0.2", 1, kVip4, 80}, kMacA));
             }),
      {.name = "quota_outside",
       .frame = in_frame({"192.0.2.9", kClientPort, kVip4, 80}, kMacHost),
       .in = kHost,
       .drop = Drop::connection_quota_outside,
       .prepare = [](Lab& lab) {
         serve(lab);
         lab.connections().set_outside_quota(0);
       }},
      {.name = "quota_host",
       .frame = in_frame({"192.0.2.9", kClientPort, kVip4, 80}, kMacHost),
       .in = kHost,
       .drop = Drop::connection_quota_host,
       .prepare = [](Lab& lab) {
         serve(lab);
         lab.connections().set_outside_quota(2);
         lab.run(in_frame({"192.0.2.9", 1, kVip4, 80}, kMacHost), kHost);
       }},
      silent("table_full", vip4(80), Drop::connection_table_full,
             [](Lab& lab) {
               serve(lab);
               NewConnection other{.key = {.protocol = kProtoUdp, .family = Family::ip4}};
               do {
                 ++other.key.source_port;
               } while (lab.connections().add(0, other, 1000).outcome !=
                        ConnectionTable::Outcome::table_full);
             }),
      silent("no_masquerade_address", vip4(83), Drop::connection_no_masquerade,
             [](Lab& lab) {
               serve(lab);
               static_cast<void>(lab.services().set_settings({}));
             }),
      silent("no_masquerade_port", vip4(83), Drop::connection_no_port,
             [](Lab& lab) {
               serve(lab);
               lab.run(in_frame({"10.1.0.2", 1, kVip4, 83}, kMacA));
             }),
  };
}

// Connections whose backend sees the gateway's address.
std::vector<Row> source_nat_rows() {
  const Ends masked{"10.1.0.1", 2000, "10.1.0.3", 8080, 63};
  const Ends hairpin4{"10.1.0.2", kClientPort, kVip4, 83};
  const Ends hairpin6{"fd00::2", kClientPort, kVip6, 83};
  const auto from_outside = [](Lab& lab) {
    serve(lab);
    lab.run(in_frame(kOutsideToVip, kMacHost), kHost);
  };
  const auto from_itself = [](Lab& lab) {
    serve(lab);
    lab.run(in_frame({"10.1.0.2", kClientPort, kVip4, 83}, kMacA));
  };
  const auto all_inside = [](Lab& lab) {
    serve(lab);
    set_prefixes(lab, api::kInsideSet, {"192.0.2.0/24"});
  };
  return {
      {.name = "outside_masquerades",
       .frame = in_frame(kOutsideToVip, kMacHost),
       .in = kHost,
       .out = {out_frame(masked, kMacB)},
       .out_port = kPodB,
       .prepare = serve},
      {.name = "outside_returns",
       .frame = in_frame({"10.1.0.3", 8080, "10.1.0.1", 2000}, kMacB),
       .in = kPodB,
       .out = {out_frame({kVip4, 85, "192.0.2.7", kClientPort, 63}, kMacHost)},
       .out_port = kHost,
       .prepare = from_outside},
      {.name = "inside_set_keeps_its_source",
       .frame = in_frame(kOutsideToVip, kMacHost),
       .in = kHost,
       .out = {out_frame({"192.0.2.7", kClientPort, "10.1.0.3", 8080, 63}, kMacB)},
       .out_port = kPodB,
       .prepare = all_inside},
      {.name = "pod_keeps_its_source",
       .frame = in_frame({"10.1.0.2", kClientPort, kVip4, 85}, kMacA),
       .out = {out_frame(kToB4, kMacB)},
       .out_port = kPodB,
       .prepare = serve},
      {.name = "hairpin",
       .frame = in_frame(hairpin4, kMacA),
       .out = {out_frame({"10.1.0.1", 2000, "10.1.0.2", 8080, 63}, kMacA)},
       .out_port = kPodA,
       .prepare = serve},
      {.name = "hairpin6",
       .frame = in_frame(hairpin6, kMacA),
       .out = {out_frame({"fd00::1", 2000, "fd00::2", 8080, 63}, kMacA)},
       .out_port = kPodA,
       .prepare = serve},
      {.name = "hairpin_returns",
       .frame = in_frame({"10.1.0.2", 8080, "10.1.0.1", 2000}, kMacA),
       .out = {out_frame({kVip4, 83, "10.1.0.2", kClientPort, 63}, kMacA)},
       .out_port = kPodA,
       .prepare = from_itself},
      {.name = "source_range_admits",
       .frame = in_frame({"192.0.2.7", kClientPort, kVip4, 84}, kMacHost),
       .in = kHost,
       .out = {out_frame({"192.0.2.7", kClientPort, "10.1.0.3", 8080, 63}, kMacB)},
       .out_port = kPodB,
       .prepare = serve},
  };
}

// Addresses of services that are something else besides.
std::vector<Row> shared_address_rows() {
  const Ip4 ping_vip{.destination = kVip4, .protocol = kProtoIcmp4};
  const Ip4 ping_gateway{.destination = "10.1.0.1", .protocol = kProtoIcmp4};
  const auto answer = [](std::string_view source) {
    return routed4(ip4({.source = source, .destination = "10.1.0.2", .protocol = kProtoIcmp4},
                       icmp({.type = 0})),
                   kMacA);
  };
  const Ends other_port{"10.1.0.2", kClientPort, "10.1.0.3", 444};
  Ends other_port_sent = other_port;
  other_port_sent.ttl = 63;
  const Ends gateway_port{"10.1.0.2", kClientPort, "10.1.0.1", 444};
  return {
      {.name = "vip_answers_echo",
       .frame = sent4(ip4(ping_vip, icmp())),
       .out = {answer(kVip4)},
       .out_port = kPodA,
       .prepare = serve},
      {.name = "vip_answers_echo6",
       .frame = sent6(ip6({.destination = kVip6, .next_header = kProtoIcmp6}, icmp({.type = 128}))),
       .out = {routed6(ip6({.source = kVip6, .destination = "fd00::2", .next_header = kProtoIcmp6},
                           icmp({.type = 129})),
                       kMacA)},
       .out_port = kPodA,
       .prepare = serve},
      {.name = "gateway_answers_echo",
       .frame = sent4(ip4(ping_gateway, icmp())),
       .out = {answer("10.1.0.1")},
       .out_port = kPodA,
       .prepare = serve},
      {.name = "pod_address_port_of_a_service",
       .frame = in_frame({"10.1.0.2", kClientPort, "10.1.0.3", 443}, kMacA),
       .out = {out_frame(kToB4, kMacB)},
       .out_port = kPodB,
       .prepare = serve},
      {.name = "pod_address_other_port",
       .frame = in_frame(other_port, kMacA),
       .out = {out_frame(other_port_sent, kMacB)},
       .out_port = kPodB,
       .prepare = serve},
      {.name = "gateway_address_other_port",
       .frame = in_frame(gateway_port, kMacA),
       .drop = Drop::local_ignored,
       .out = {error4(packet(gateway_port), 3, 3)},
       .out_port = kPodA,
       .prepare = serve},
  };
}

// --- fragments

std::vector<Row> fragment_rows() {
  const auto after_first4 = [](Lab& lab) {
    serve(lab);
    lab.run(sent4(fragment4(kToVip4, true)));
  };
  const auto after_first6 = [](Lab& lab) {
    serve(lab);
    lab.run(sent6(fragment6(kToVip6, true)));
    lab.run(sent6(fragment6(kToVip6, true, 8)));
  };
  const auto after_reply4 = [](Lab& lab) {
    serve(lab);
    lab.run(in_frame(kToVip4, kMacA));
    lab.run(sent4(fragment4(kFromB4, true), from(kMacB)), kPodB);
  };
  const auto too_late = [](Lab& lab) {
    serve(lab);
    lab.run(sent4(fragment4(kToVip4, true)));
    lab.context().now += FragmentTable::kSeconds * kLabTscHz + 1;
  };
  const Ends other_pod{"10.1.0.2", kClientPort, "10.1.0.3", 5000};
  Ends other_pod_sent = other_pod;
  other_pod_sent.ttl = 63;
  const auto sctp_fragment = [](uint16_t port) {
    return sent4(ip4({.destination = kVip4, .protocol = kProtoSctp, .fragment = kIp4MoreFragments},
                     sctp_header(4000, port) + filler(20)));
  };
  return {
      {.name = "later_fragment_follows",
       .frame = sent4(fragment4(kToVip4, false)),
       .out = {routed4(fragment4(kToB4, false))},
       .out_port = kPodB,
       .prepare = after_first4},
      {.name = "later_fragment_follows6",
       .frame = sent6(fragment6(kToVip6, false)),
       .out = {routed6(fragment6(kToB6, false))},
       .out_port = kPodB,
       .prepare = after_first6},
      {.name = "later_fragment_follows6_behind_options",
       .frame = sent6(fragment6(kToVip6, false, 8)),
       .out = {routed6(fragment6(kToB6, false, 8))},
       .out_port = kPodB,
       .prepare = after_first6},
      {.name = "later_fragment_returns",
       .frame = sent4(fragment4(kFromB4, false), from(kMacB)),
       .in = kPodB,
       .out = {routed4(fragment4(kFromVip4, false), kMacA)},
       .out_port = kPodA,
       .prepare = after_reply4},
      {.name = "later_fragment_of_another_packet",
       .frame = sent4(fragment4(kToVip4, false, 8)),
       .drop = Drop::service_fragment,
       .prepare = after_first4},
      {.name = "later_fragment_alone",
       .frame = sent4(fragment4(kToVip4, false)),
       .drop = Drop::service_fragment,
       .prepare = serve},
      {.name = "later_fragment_alone6",
       .frame = sent6(fragment6(kToVip6, false)),
       .drop = Drop::service_fragment,
       .prepare = serve},
      {.name = "later_fragment_too_late",
       .frame = sent4(fragment4(kToVip4, false)),
       .drop = Drop::service_fragment,
       .prepare = too_late},
      {.name = "later_fragment_to_a_pod",
       .frame = sent4(fragment4(other_pod, false)),
       .out = {routed4(fragment4(other_pod_sent, false))},
       .out_port = kPodB,
       .prepare = after_first4},
      {.name = "sctp_fragment",
       .frame = sctp_fragment(80),
       .drop = Drop::connection_sctp_fragment,
       .prepare = serve},
      {.name = "sctp_fragment_same_port",
       .frame = sctp_fragment(8080),
       .out = {routed4(ip4({.destination = "10.1.0.3",
                            .protocol = kProtoSctp,
                            .ttl = 63,
                            .fragment = kIp4MoreFragments},
                           sctp_header(4000, 8080) + filler(20)))},
       .out_port = kPodB,
       .prepare = serve},
  };
}

// --- ICMP errors

std::vector<Row> error_rows() {
  const auto open = opened<kProtoUdp>;
  const auto open_to_outside = [](Lab& lab) {
    serve(lab);
    lab.run(in_frame({"10.1.0.2", kClientPort, kVip4, 86}, kMacA));
  };
  // As the sides saw each other's packets, and what is to be told.
  const Ends seen_by_b4{"10.1.0.2", kClientPort, "10.1.0.3", 8080};
  const Ends seen_by_b6{"fd00::2", kClientPort, "fd00::3", 8080};
  const Ends seen_by_a4{kVip4, 80, "10.1.0.2", kClientPort};
  const Ends to_9{"10.1.0.2", kClientPort, "192.0.2.9", 8080};
  const Ends to_86{"10.1.0.2", kClientPort, kVip4, 86};
  Ends expired = kToVip4;
  expired.ttl = 1;
  Ends expired_reply = kFromB4;
  expired_reply.ttl = 1;
  return {
      {.name = "backend_tells_the_client",
       .frame = sent4(error_about({"10.1.0.3", "10.1.0.2"}, seen_by_b4), from(kMacB)),
       .in = kPodB,
       .out = {routed4(error_about({kVip4, "10.1.0.2", 63}, kToVip4), kMacA)},
       .out_port = kPodA,
       .prepare = open},
      {.name = "backend_tells_the_client6",
       .frame = sent6(error_about({"fd00::3", "fd00::2"}, seen_by_b6), from(kMacB)),
       .in = kPodB,
       .out = {routed6(error_about({kVip6, "fd00::2", 63}, kToVip6), kMacA)},
       .out_port = kPodA,
       .prepare = open},
      {.name = "client_tells_the_backend",
       .frame = sent4(error_about({"10.1.0.2", kVip4}, seen_by_a4)),
       .out = {routed4(error_about({"10.1.0.2", "10.1.0.3", 63}, kFromB4))},
       .out_port = kPodB,
       .prepare = open},
      {.name = "router_tells_the_client",
       .frame = sent4(error_about({"192.0.2.1", "10.1.0.2"}, to_9), from(kMacHost)),
       .in = kHost,
       .out = {routed4(error_about({"192.0.2.1", "10.1.0.2", 63}, to_86), kMacA)},
       .out_port = kPodA,
       .prepare = open_to_outside},
      {.name = "a_stranger_tells_nothing",
       .frame = sent4(error_about({"10.1.0.4", "10.1.0.2"}, seen_by_b4), from(kMacC)),
       .in = kPodC,
       .out = {routed4(error_about({"10.1.0.4", "10.1.0.2", 63}, seen_by_b4), kMacA)},
       .out_port = kPodA,
       .prepare = open},
      {.name = "own_error_quotes_what_the_client_sent",
       .frame = sent4(packet(expired)),
       .drop = Drop::rewrite_ttl_expired,
       .out = {error4(packet(expired), 11, 0)},
       .out_port = kPodA,
       .prepare = serve},
      {.name = "own_error_quotes_what_the_backend_sent",
       .frame = sent4(packet(expired_reply), from(kMacB)),
       .in = kPodB,
       .drop = Drop::rewrite_ttl_expired,
       .out = {routed4(ip4({.source = "10.1.0.1",
                            .destination = "10.1.0.3",
                            .protocol = kProtoIcmp4,
                            .tos = 0xc0,
                            .identification = 0,
                            .fragment = kIp4DontFragment},
                           icmp({.type = 11, .rest = 0}, packet(expired_reply))))},
       .out_port = kPodB,
       .prepare = open},
  };
}

}  // namespace

std::vector<Row> service_rows() {
  std::vector<Row> rows;
  add_balanced_rows<kProtoUdp>(rows, "udp");
  add_balanced_rows<kProtoTcp>(rows, "tcp");
  add_balanced_rows<kProtoSctp>(rows, "sctp");
  for (const auto& part :
       {refusal_rows(), source_nat_rows(), shared_address_rows(), fragment_rows(), error_rows()})
    rows.insert(rows.end(), part.begin(), part.end());
  return rows;
}

}  // namespace weir::dataplane::test
