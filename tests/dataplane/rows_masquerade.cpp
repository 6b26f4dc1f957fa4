// What pods send by the uplink to networks that do not know them, and what comes back.
#include "dataplane/api/masquerade.h"
#include "tests/dataplane/ends.h"
#include "tests/dataplane/rows.h"
#include "tests/dataplane/services.h"

namespace weir::dataplane::test {
namespace {

// Pod A, the uplink and a host beyond it, in either family.
struct Addresses {
  std::string_view pod, uplink, host, kept;
};
constexpr Addresses kIp4{"10.1.0.2", "203.0.113.1", "203.0.113.9", "203.0.113.200"};
constexpr Addresses kIp6{"fd00::2", "2001:db8:51::1", "2001:db8:51::9", "2001:db8:51:5::9"};
const Addresses& addresses(bool ip6) { return ip6 ? kIp6 : kIp4; }

bool is_echo(uint8_t protocol) { return protocol == kProtoIcmp4 || protocol == kProtoIcmp6; }
uint16_t server_port(uint8_t protocol) { return is_echo(protocol) ? 0 : 8080; }

// As the pod and as the host see the connection's packets.
Ends inside(bool ip6, uint8_t protocol) {
  return {addresses(ip6).pod, kClientPort, addresses(ip6).host, server_port(protocol)};
}
Ends outside(bool ip6, uint8_t protocol, uint16_t port = kClientPort) {
  return {addresses(ip6).uplink, port, addresses(ip6).host, server_port(protocol)};
}
Ends answer_to(const Ends& ends) {
  return {ends.destination, ends.destination_port, ends.source, ends.source_port};
}

void masquerading(Lab& lab) { masquerade_uplink(lab); }
void one_port(Lab& lab) { masquerade_uplink(lab, 2000, 2000); }
template <uint8_t kProtocol>
void opened(Lab& lab) {
  masquerade_uplink(lab);
  for (const bool ip6 : {false, true}) lab.run(in_frame(inside(ip6, kProtocol), kMacA, kProtocol));
}

Row leaves(std::string name, const Ends& sent, const Ends& seen, uint8_t protocol = kProtoUdp,
           void (*prepare)(Lab&) = masquerading) {
  return {.name = std::move(name),
          .frame = in_frame(sent, kMacA, protocol),
          .out = {out_frame(hop(seen), kMacNeighbor, protocol)},
          .out_port = kUplink,
          .prepare = prepare};
}

template <uint8_t kProtocol>
void add_flow(std::vector<Row>& rows, const std::string& protocol, bool ip6) {
  const std::string suffix = "_" + protocol + (ip6 ? "6" : "");
  const Ends sent = inside(ip6, kProtocol);
  const Ends seen = outside(ip6, kProtocol);
  rows.push_back(leaves("masquerade_opens" + suffix, sent, seen, kProtocol));
  rows.push_back(leaves("masquerade_hits" + suffix, sent, seen, kProtocol, opened<kProtocol>));
  rows.push_back(leaves("masquerade_draws_a_port" + suffix, sent, outside(ip6, kProtocol, 2000),
                        kProtocol, one_port));
  rows.push_back({.name = "masquerade_returns" + suffix,
                  .frame = in_frame(answer_to(seen), kMacNeighbor, kProtocol),
                  .in = kUplink,
                  .out = {out_frame(hop(answer_to(sent)), kMacA, kProtocol)},
                  .out_port = kPodA,
                  .prepare = opened<kProtocol>});
  const Addresses& at = addresses(ip6);
  const ErrorEnds router{at.host, at.uplink};
  rows.push_back({.name = "masquerade_router_tells_the_pod" + suffix,
                  .frame = around(error_about(router, seen, kProtocol), from(kMacNeighbor)),
                  .in = kUplink,
                  .out = {around(error_about({at.host, at.pod, 63}, sent, kProtocol),
                                 from_gateway(kMacA))},
                  .out_port = kPodA,
                  .prepare = opened<kProtocol>});
  rows.push_back({.name = "masquerade_pod_tells_the_host" + suffix,
                  .frame = around(error_about({at.pod, at.host}, answer_to(sent), kProtocol), {}),
                  .out = {around(error_about({at.uplink, at.host, 63}, answer_to(seen), kProtocol),
                                 from_gateway(kMacNeighbor))},
                  .out_port = kUplink,
                  .prepare = opened<kProtocol>});
}

std::vector<Row> flow_rows() {
  std::vector<Row> rows;
  for (const bool ip6 : {false, true}) {
    add_flow<kProtoUdp>(rows, "udp", ip6);
    add_flow<kProtoTcp>(rows, "tcp", ip6);
    add_flow<kProtoSctp>(rows, "sctp", ip6);
  }
  add_flow<kProtoIcmp4>(rows, "echo", false);
  add_flow<kProtoIcmp6>(rows, "echo", true);
  return rows;
}

// --- what keeps its source

Bytes syn_ack() {
  return ip4({.destination = kIp4.host, .protocol = kProtoTcp},
             tcp({}, {.source = 80, .destination = 5000, .flags = kTcpSyn | kTcpAck}));
}
Bytes gre() { return ip4({.destination = kIp4.host, .protocol = 47}, filler(20)); }

Row unchanged(std::string name, const Bytes& sent, const Bytes& seen) {
  return {.name = std::move(name),
          .frame = sent4(sent),
          .out = {routed4(seen, kMacNeighbor)},
          .out_port = kUplink,
          .prepare = masquerading};
}

// A datagram from outside to the pod itself, and its answer.
constexpr Ends kAsked4{kIp4.host, 5000, kIp4.pod, 53};
constexpr Ends kAsked6{kIp6.host, 5000, kIp6.pod, 53};
void asked(Lab& lab) {
  masquerade_uplink(lab);
  for (const Ends& ends : {kAsked4, kAsked6}) lab.run(in_frame(ends, kMacNeighbor), kUplink);
}

std::vector<Row> kept_rows() {
  const auto off = [](Lab& lab) {
    masquerade_uplink(lab);
    set_prefixes(lab, api::kKeptSet, {});
  };
  const Ends sent = inside(false, kProtoUdp);
  std::vector<Row> rows{
      leaves("masquerade_off", sent, sent, kProtoUdp, off),
      unchanged("masquerade_answers_syn", syn_ack(),
                ip4({.destination = kIp4.host, .protocol = kProtoTcp, .ttl = 63},
                    tcp({}, {.source = 80, .destination = 5000, .flags = kTcpSyn | kTcpAck}))),
      unchanged("masquerade_other_protocol", gre(),
                ip4({.destination = kIp4.host, .protocol = 47, .ttl = 63}, filler(20))),
      {.name = "masquerade_spares_hosts_behind_the_kernel",
       .frame = in_frame({"10.1.0.2", 1, "192.0.2.9", 2}, kMacA),
       .out = {out_frame({"10.1.0.2", 1, "192.0.2.9", 2, 63}, kMacHost)},
       .out_port = kHost,
       .prepare = masquerading},
  };
  for (const bool ip6 : {false, true}) {
    const std::string suffix = ip6 ? "6" : "";
    const Addresses& at = addresses(ip6);
    const Ends kept{at.pod, kClientPort, at.kept, 8080};
    const Ends reply = answer_to(ip6 ? kAsked6 : kAsked4);
    const uint8_t echo = ip6 ? kProtoIcmp6 : kProtoIcmp4;
    const Ends echo_reply{at.pod, 0, at.host, 77};
    rows.push_back(leaves("masquerade_kept" + suffix, kept, kept));
    rows.push_back(leaves("masquerade_answers_echo" + suffix, echo_reply, echo_reply, echo));
    rows.push_back(leaves("masquerade_answers_datagram" + suffix, reply, reply, kProtoUdp, asked));
  }
  return rows;
}

// --- fragments

Row fragment(std::string name, const Bytes& sent, const Bytes& seen, void (*prepare)(Lab&)) {
  return {.name = std::move(name),
          .frame = around(sent, {}),
          .out = {around(seen, from_gateway(kMacNeighbor))},
          .out_port = kUplink,
          .prepare = prepare};
}
Row lost_fragment(std::string name, const Bytes& sent) {
  return {.name = std::move(name),
          .frame = around(sent, {}),
          .drop = Drop::masquerade_fragment,
          .prepare = masquerading};
}

// The first and the second half of an echo reply, which passes as it is.
Bytes reply_fragment(bool first, uint8_t ttl) {
  const Bytes whole = icmp({.type = kIcmp4EchoReply}, filler(32));
  const Bytes part = first ? Bytes(whole.begin(), whole.begin() + 16)
                           : Bytes(whole.begin() + 16, whole.end());
  return ip4({.destination = kIp4.host,
              .protocol = kProtoIcmp4,
              .ttl = ttl,
              .fragment = static_cast<uint16_t>(first ? kIp4MoreFragments : 2),
              .l4_checksum = false},
             part);
}

std::vector<Row> fragment_rows() {
  const auto after_first = [](Lab& lab) {
    masquerade_uplink(lab, 2000, 2000);
    lab.run(sent4(fragment4(inside(false, kProtoUdp), true)));
    lab.run(sent6(fragment6(inside(true, kProtoUdp), true)));
  };
  const auto after_reply = [](Lab& lab) {
    masquerade_uplink(lab);
    lab.run(sent4(reply_fragment(true, 64)));
  };
  const Ends to4 = inside(false, kProtoUdp);
  const Ends to6 = inside(true, kProtoUdp);
  const Ends seen4 = hop(outside(false, kProtoUdp));
  const Ends seen6 = hop(outside(true, kProtoUdp));
  const Ends kept{kIp4.pod, 1, kIp4.kept, 2};
  return {
      fragment("masquerade_later_fragment", fragment4(to4, false), fragment4(seen4, false),
               after_first),
      fragment("masquerade_later_fragment6", fragment6(to6, false), fragment6(seen6, false),
               after_first),
      lost_fragment("masquerade_later_fragment_alone", fragment4(to4, false)),
      lost_fragment("masquerade_later_fragment_alone6", fragment6(to6, false)),
      fragment("masquerade_later_fragment_kept", fragment4(kept, false),
               fragment4(hop(kept), false), masquerading),
      fragment("masquerade_later_fragment_of_an_answer", reply_fragment(false, 64),
               reply_fragment(false, 63), after_reply),
  };
}

// --- refusals

std::vector<Row> refusal_rows() {
  const auto taken = [](Lab& lab) {
    masquerade_uplink(lab, 2000, 2000);
    lab.run(in_frame({"10.1.0.3", 1, kIp4.host, 8080}, kMacB), kPodB);
  };
  const auto over_quota = [](Lab& lab) {
    masquerade_uplink(lab);
    lab.connections().set_quota(1);
    lab.run(in_frame({kIp4.pod, 1, kIp4.host, 8080}, kMacA));
  };
  const Bytes frame = in_frame(inside(false, kProtoUdp), kMacA);
  return {
      {.name = "masquerade_no_port",
       .frame = frame,
       .drop = Drop::connection_no_port,
       .prepare = taken},
      {.name = "masquerade_quota",
       .frame = frame,
       .drop = Drop::connection_quota,
       .prepare = over_quota},
  };
}

}  // namespace

std::vector<Row> masquerade_rows() {
  std::vector<Row> rows = flow_rows();
  for (const auto& part : {kept_rows(), fragment_rows(), refusal_rows()})
    rows.insert(rows.end(), part.begin(), part.end());
  return rows;
}

}  // namespace weir::dataplane::test
