// Packets by their ends, for tests of what translates them.
#pragma once

#include "tests/dataplane/rows.h"

namespace weir::dataplane::test {

inline constexpr uint16_t kClientPort = 4000;

// One packet's way: whole IP packets, from here to there. Of an echo one port is 0, the other
// its identifier: the source's in a request.
struct Ends {
  std::string_view source;
  uint16_t source_port;
  std::string_view destination;
  uint16_t destination_port;
  uint8_t ttl = 64;
};
// What is left of the way after one hop.
inline Ends hop(Ends ends) {
  --ends.ttl;
  return ends;
}

Bytes sctp_header(uint16_t source, uint16_t destination);

// TCP: a SYN; SCTP: an INIT without checksum (RFC 9653; nat_test looks at those with one).
Bytes packet(const Ends& ends, uint8_t protocol = kProtoUdp);
Bytes in_frame(const Ends& ends, const MacAddress& source, uint8_t protocol = kProtoUdp);
Bytes out_frame(const Ends& ends, const MacAddress& to, uint8_t protocol = kProtoUdp);
// The Ethernet frame around an IP packet of either family.
Bytes around(const Bytes& packet, const Eth& fields);

// Of a datagram: 16 bytes of payload in the first, the rest behind.
Bytes fragment4(const Ends& ends, bool first, uint16_t id = 7);
Bytes fragment6(const Ends& ends, bool first, size_t options = 0);

// A too-big about a packet between the inner ends.
struct ErrorEnds {
  std::string_view source;
  std::string_view destination;
  uint8_t ttl = 64;
};
Bytes error_about(const ErrorEnds& outer, const Ends& inner, uint8_t protocol = kProtoUdp);

}  // namespace weir::dataplane::test
