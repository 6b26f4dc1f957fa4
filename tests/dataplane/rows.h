// Packet tables: one row is one frame in, and what must come of it.
#pragma once

#include <string>
#include <vector>

#include "tests/dataplane/lab.h"

namespace weir::dataplane::test {

struct Row {
  std::string name;
  Bytes frame;
  uint16_t in = kPodA;
  Drop drop = Drop::count;   // the one reason counted; count = none
  std::vector<Bytes> out{};  // frames sent, in order, byte for byte
  uint16_t out_port = 0;     // with `out`
  Offload offload{};
  void (*prepare)(Lab&) = nullptr;
};

// By the stage whose verdict the rows are about.
std::vector<Row> parse_rows();
std::vector<Row> parse_ip6_rows();
std::vector<Row> source_rows();
std::vector<Row> neighbor_rows();  // arp and nd
std::vector<Row> route_rows();     // route, local and rewrite
std::vector<Row> mtu_rows();       // mtu and tx_segmentation
std::vector<Row> icmp_rows();
std::vector<Row> police_rows();
std::vector<Row> service_rows();   // connection and service
std::vector<Row> masquerade_rows();  // by uplinks
std::vector<Row> all_rows();

inline const MacAddress kMacA = mac("02:00:00:00:00:0a");
inline const MacAddress kMacB = mac("02:00:00:00:00:0b");
inline const MacAddress kMacC = mac("02:00:00:00:00:0c");
inline const MacAddress kMacHost = mac("02:00:00:00:00:0d");
inline const MacAddress kMacNeighbor = mac("02:00:00:00:00:0f");  // on the uplink

// The Ethernet header of a frame that weir sends to `to`.
inline Eth from_gateway(const MacAddress& to) { return {.destination = to, .source = kGatewayMac}; }
inline Eth from(const MacAddress& source) { return {.source = source}; }

// A frame from pod A around an IPv4 or IPv6 packet, and the frame weir makes of one.
inline Bytes sent4(const Bytes& packet, const Eth& fields = {}) {
  return eth(kEtherIp4, packet, fields);
}
inline Bytes sent6(const Bytes& packet, const Eth& fields = {}) {
  return eth(kEtherIp6, packet, fields);
}
inline Bytes routed4(const Bytes& packet, const MacAddress& to = kMacB) {
  return eth(kEtherIp4, packet, from_gateway(to));
}
inline Bytes routed6(const Bytes& packet, const MacAddress& to = kMacB) {
  return eth(kEtherIp6, packet, from_gateway(to));
}

// The ICMP errors that weir sends about `original` (the IP packet as its sender sent it).
Bytes error4(const Bytes& original, uint8_t type, uint8_t code, uint32_t rest = 0,
             std::string_view to = "10.1.0.2");
Bytes error6(const Bytes& original, uint8_t type, uint8_t code, uint32_t rest = 0,
             std::string_view to = "fd00::2");

}  // namespace weir::dataplane::test
