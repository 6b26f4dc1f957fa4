// What frames that leave the pipeline must be, worked out from the frame that came in by
// plain byte arithmetic that shares nothing with the code under test.
#pragma once

#include <vector>

#include "dataplane/core/packet.h"
#include "tests/dataplane/packet_builder.h"

namespace weir::fuzz {

using dataplane::test::Bytes;

// The frame that came in.
struct Original {
  Bytes frame;
  dataplane::Offload offload;

  // Where its IP header begins, behind a priority tag if there is one.
  size_t l3() const { return frame.size() > 18 && frame[12] == 0x81 && frame[13] == 0 ? 18 : 14; }
  // The IP packet without the padding behind it.
  Bytes packet() const;
};

// Any frame that leaves: addresses, lengths, IP header. `mtu` 0: a port that takes
// super-frames.
void check_wire_format(const Bytes& frame, const MacAddress& to, uint32_t mtu);

// The packet was forwarded: `sent` together carry what came in, each with right checksums.
void check_forwarded(const Original& original, const std::vector<Bytes>& sent);

// The packet was forwarded with other addresses and ports: its L4 checksum is as right or as
// wrong as it was, and its payload the same.
void check_translated(const Original& original, const std::vector<Bytes>& sent);

// weir made the packet itself: an ICMP error that quotes what came in, or an echo reply.
void check_generated(const Original& original, const Bytes& sent);

}  // namespace weir::fuzz
