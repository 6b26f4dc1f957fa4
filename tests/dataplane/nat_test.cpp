// Translation against packets that were built with the new addresses from the start: every
// byte must be equal, so the incremental checksums agree with full computation.
#include "dataplane/core/nat.h"

#include <gtest/gtest.h>

#include <random>

#include "dataplane/nodes/parse.h"
#include "tests/dataplane/lab.h"

namespace weir::dataplane::test {
namespace {

struct Ends {
  std::string source;
  std::string destination;
  uint16_t source_port = 0;
  uint16_t destination_port = 0;
};

std::mt19937 random_numbers(20);

size_t below(size_t limit) { return random_numbers() % limit; }

std::string random_address(bool ip6) {
  IpAddress address{.family = ip6 ? Family::ip6 : Family::ip4};
  for (size_t i = 0; i < (ip6 ? 16U : 4U); ++i) address.bytes[i] = static_cast<uint8_t>(below(256));
  address.bytes[0] = ip6 ? 0xfd : 10;
  return to_string(address);
}

Ends random_ends(bool ip6) {
  return {random_address(ip6), random_address(ip6), static_cast<uint16_t>(below(65536)),
          static_cast<uint16_t>(below(65536))};
}

FlowKey flow(const Ends& ends, uint8_t protocol = 0) {
  FlowKey flow{.protocol = protocol,
               .family = ends.source.find(':') == std::string::npos ? Family::ip4 : Family::ip6};
  const auto copy = [](const std::string& text, Ip6Bytes& to) {
    to = parse_address(text).value().bytes;
  };
  copy(ends.source, flow.source);
  copy(ends.destination, flow.destination);
  flow.source_port = __builtin_bswap16(ends.source_port);
  flow.destination_port = __builtin_bswap16(ends.destination_port);
  return flow;
}

uint32_t naive_crc32c(const Bytes& bytes) {
  uint32_t crc = 0xffff'ffff;
  for (const uint8_t byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f6'3b78 : 0);
  }
  return ~crc;
}

Bytes sctp(const Ends& ends, const Bytes& payload) {
  Bytes out{static_cast<uint8_t>(ends.source_port >> 8),
            static_cast<uint8_t>(ends.source_port),
            static_cast<uint8_t>(ends.destination_port >> 8),
            static_cast<uint8_t>(ends.destination_port),
            1,
            2,
            3,
            4,
            0,
            0,
            0,
            0};
  out = out + payload;
  const uint32_t crc = naive_crc32c(out);
  std::memcpy(out.data() + 8, &crc, sizeof crc);
  return out;
}

Bytes l4(uint8_t protocol, const Ends& ends, const Bytes& payload) {
  if (protocol == kProtoSctp) return sctp(ends, payload);
  if (protocol == kProtoUdp)
    return udp(payload, {.source = ends.source_port, .destination = ends.destination_port});
  return tcp(payload, {.source = ends.source_port, .destination = ends.destination_port});
}

Bytes packet_of(bool ip6_wanted, uint8_t protocol, const Ends& ends, const Bytes& payload) {
  if (ip6_wanted) {
    return ip6({.source = ends.source, .destination = ends.destination, .next_header = protocol},
               payload);
  }
  return ip4({.source = ends.source, .destination = ends.destination, .protocol = protocol},
             payload);
}

Bytes frame_of(bool ip6_wanted, const Bytes& packet) {
  return eth(ip6_wanted ? kEtherIp6 : kEtherIp4, packet);
}

class Nat : public testing::Test {
 protected:
  void receive(const Bytes& frame, const Offload& offload = {}) {
    lab_.fill(packet_, frame);
    packet_.offload = offload;
    ASSERT_EQ(Parse::classify(packet_, lab_.context()), Next::source_check);
  }

  // What an ICMP checksum covers beside the message.
  uint64_t pseudo_sum() const {
    if (packet_.family == Family::ip4) return 0;
    return pseudo_header(packet_.l3<Ip6Header>(), kProtoIcmp6, packet_.l4_length);
  }

  Lab lab_;
  Packet packet_;
};

TEST_F(Nat, every_protocol_and_length_equals_a_packet_built_anew) {
  for (const bool ip6 : {false, true}) {
    for (const uint8_t protocol : {kProtoTcp, kProtoUdp, kProtoSctp}) {
      for (int i = 0; i < 300; ++i) {
        const Bytes payload = filler(below(1500), static_cast<uint8_t>(below(256)));
        const Ends before = random_ends(ip6);
        const Ends after = random_ends(ip6);
        receive(frame_of(ip6, packet_of(ip6, protocol, before, l4(protocol, before, payload))));
        EXPECT_EQ(key_of(packet_), flow(before, protocol));
        translate(packet_, flow(after));
        ASSERT_EQ(bytes_of(packet_),
                  frame_of(ip6, packet_of(ip6, protocol, after, l4(protocol, after, payload))))
            << unsigned{protocol} << " payload " << payload.size();
      }
    }
  }
}

// RFC 768: sums that come to zero are where a wrong update shows.
TEST_F(Nat, udp_checksums_around_zero) {
  const Ends before = random_ends(false);
  Ends after = before;
  after.destination_port = 7;
  for (uint32_t word = 0; word < 65536; ++word) {
    const Bytes payload{static_cast<uint8_t>(word >> 8), static_cast<uint8_t>(word)};
    receive(frame_of(false, packet_of(false, kProtoUdp, before, l4(kProtoUdp, before, payload))));
    translate(packet_, flow(after));
    ASSERT_EQ(bytes_of(packet_),
              frame_of(false, packet_of(false, kProtoUdp, after, l4(kProtoUdp, after, payload))));
  }
}

TEST_F(Nat, a_udp_packet_without_checksum_stays_without) {
  const Ends before = random_ends(false);
  const Ends after = random_ends(false);
  const auto frame = [](const Ends& ends) {
    return frame_of(
        false, ip4({.source = ends.source, .destination = ends.destination, .l4_checksum = false},
                   l4(kProtoUdp, ends, filler(9))));
  };
  receive(frame(before));
  translate(packet_, flow(after));
  EXPECT_EQ(bytes_of(packet_), frame(after));
}

// virtio: the field holds the pseudo-header's sum until a NIC, or weir, completes it.
TEST_F(Nat, a_partial_checksum_is_completed_right_afterwards) {
  for (int i = 0; i < 200; ++i) {
    const bool ip6 = i % 2 != 0;
    const bool tcp_wanted = i % 3 != 0;
    const uint8_t protocol = tcp_wanted ? kProtoTcp : kProtoUdp;
    const Ends before = random_ends(ip6);
    const Ends after = random_ends(ip6);
    const Bytes payload = filler(below(1300));
    Bytes frame = frame_of(ip6, packet_of(ip6, protocol, before, l4(protocol, before, payload)));
    const size_t start = 14U + (ip6 ? 40 : 20);
    const auto field = static_cast<uint16_t>(tcp_wanted ? 16 : 6);
    const auto length = static_cast<uint32_t>(frame.size() - start);
    const uint64_t sum =
        ip6 ? pseudo_header(*reinterpret_cast<Ip6Header*>(frame.data() + 14), protocol, length)
            : pseudo_header(*reinterpret_cast<Ip4Header*>(frame.data() + 14), protocol, length);
    store(frame.data() + start + field, fold(sum));
    receive(frame, {.partial_checksum = true,
                    .checksum_start = static_cast<uint16_t>(start),
                    .checksum_offset = field});
    translate(packet_, flow(after));
    PieceScratch scratch;
    Bytes sent;
    ASSERT_EQ(for_each_piece(packet_, false, scratch,
                             [&](Packet& piece) {
                               sent = bytes_of(piece);
                               return true;
                             }),
              Drop::count);
    ASSERT_EQ(sent, frame_of(ip6, packet_of(ip6, protocol, after, l4(protocol, after, payload))));
  }
}

TEST_F(Nat, later_fragments_change_their_addresses_alone) {
  const Ends before = random_ends(false);
  const Ends after = random_ends(false);
  const auto frame = [](const Ends& ends) {
    return frame_of(false, ip4({.source = ends.source,
                                .destination = ends.destination,
                                .fragment = 20,
                                .l4_checksum = false},
                               filler(64)));
  };
  receive(frame(before));
  translate(packet_, flow(after));
  EXPECT_EQ(bytes_of(packet_), frame(after));
}

TEST(SctpChecksum, changes_alike_at_every_length) {
  for (size_t length = 12; length < 65536; length += 1 + length / 7) {
    const Ends before = random_ends(false);
    const Ends after = random_ends(false);
    const Bytes payload = filler(length - 12);
    const Bytes old_bytes = sctp(before, payload);
    const Bytes new_bytes = sctp(after, payload);
    EXPECT_EQ(load<uint32_t>(old_bytes.data() + 8) ^
                  sctp_checksum_change(load<uint32_t>(old_bytes.data()),
                                       load<uint32_t>(new_bytes.data()), length),
              load<uint32_t>(new_bytes.data() + 8));
  }
}

// An error of `router` about a packet with `inner` ends, of which it quotes `quoted` bytes.
Bytes error_frame(bool ip6_wanted, uint8_t protocol, const Ends& outer, const Ends& inner,
                  size_t quoted) {
  Bytes about = packet_of(ip6_wanted, protocol, inner, l4(protocol, inner, filler(40)));
  about.resize(std::min(quoted, about.size()));
  const uint8_t type = ip6_wanted ? 1 : 3;
  return frame_of(ip6_wanted, packet_of(ip6_wanted, ip6_wanted ? kProtoIcmp6 : kProtoIcmp4, outer,
                                        icmp({.type = type, .code = 1, .rest = 0}, about)));
}

TEST_F(Nat, errors_change_with_what_they_quote_however_little_that_is) {
  for (const bool ip6 : {false, true}) {
    for (const uint8_t protocol : {kProtoTcp, kProtoUdp}) {
      const size_t ports_end = (ip6 ? 40U : 20U) + 4;
      const size_t checksum_at = (ip6 ? 40U : 20U) + (protocol == kProtoTcp ? 16 : 6);
      for (size_t quoted = 1; quoted < ports_end + 40; ++quoted) {
        const Ends outer = random_ends(ip6);
        const Ends inner = random_ends(ip6);
        receive(error_frame(ip6, protocol, outer, inner, quoted));
        const auto quote = quote_of(packet_);
        ASSERT_EQ(quote.has_value(), quoted >= ports_end) << quoted;
        if (!quote) continue;
        EXPECT_EQ(quote->key, flow(inner, protocol));
        const Ends outer_after = random_ends(ip6);
        const Ends inner_after = random_ends(ip6);
        translate_error(packet_, *quote, flow(inner_after), flow(outer_after));
        if (quoted ==
            checksum_at + 1) {  // half a checksum cannot be kept right, the error's own can
          ASSERT_EQ(finish(sum_frame(packet_, packet_.l4_offset, packet_.length) + pseudo_sum()),
                    0);
          continue;
        }
        ASSERT_EQ(bytes_of(packet_), error_frame(ip6, protocol, outer_after, inner_after, quoted))
            << quoted;
      }
    }
  }
}

TEST_F(Nat, what_is_no_error_or_quotes_neither_ports_nor_an_echo_is_left_alone) {
  const Bytes about = packet_of(false, kProtoUdp, random_ends(false), udp());
  const auto quotes = [&](const Bytes& packet) {
    receive(frame_of(false, packet));
    return quote_of(packet_).has_value();
  };
  const Ip4 outer{.protocol = kProtoIcmp4};
  EXPECT_TRUE(quotes(ip4(outer, icmp({.type = 3}, about))));
  EXPECT_TRUE(quotes(ip4(outer, icmp({.type = 11}, about))));
  EXPECT_TRUE(quotes(ip4(outer, icmp({.type = 12}, about))));
  EXPECT_FALSE(quotes(ip4(outer, icmp({.type = 8}, about))));
  EXPECT_FALSE(quotes(ip4(outer, icmp({.type = 5}, about))));
  EXPECT_FALSE(quotes(ip4({}, udp())));
  EXPECT_FALSE(quotes(ip4({.protocol = kProtoIcmp4, .fragment = kIp4MoreFragments},
                          icmp({.type = 3}, about + Bytes(2)))));
  EXPECT_FALSE(quotes(
      ip4(outer, icmp({.type = 3}, ip4({.fragment = 3, .l4_checksum = false}, filler(40))))));
  EXPECT_TRUE(quotes(ip4(outer, icmp({.type = 3}, ip4({.protocol = kProtoIcmp4}, icmp())))));
  EXPECT_FALSE(
      quotes(ip4(outer, icmp({.type = 3}, ip4({.protocol = kProtoIcmp4}, icmp({.type = 13}))))));
  EXPECT_FALSE(quotes(ip4(outer, icmp({.type = 3}, ip4({.version = 6}, udp())))));
  EXPECT_FALSE(quotes(ip4(outer, icmp({.type = 3}, ip4({.words = 4}, udp())))));
}

}  // namespace
}  // namespace weir::dataplane::test
