#include "dataplane/core/segment.h"

#include <gtest/gtest.h>

#include <numeric>

#include "tests/dataplane/lab.h"

namespace weir::dataplane::test {
namespace {

// A TCP frame whose checksum a reference builder made, and how it is to be cut.
struct Case {
  Family family;
  size_t payload;
  uint16_t segment_size;
  Bytes options{};
  uint8_t flags = 0x99;  // CWR, ACK, PSH, FIN
  size_t piece = 100;    // body block length
};

Bytes frame_of(const Case& c, const Bytes& payload, const Tcp& fields, uint16_t id) {
  const Bytes segment = tcp(payload, fields);
  if (c.family == Family::ip4) {
    return eth(
        kEtherIp4,
        ip4({.protocol = kProtoTcp, .identification = id, .fragment = kIp4DontFragment}, segment));
  }
  return eth(kEtherIp6, ip6({.next_header = kProtoTcp}, segment));
}

class Cutter {
 public:
  // Loads `frame` as a packet that parse has seen; the checksum becomes the partial one.
  Packet& load(const Bytes& frame, Family family, size_t piece) {
    lab_.fill(packet_, frame, piece);
    packet_.reset_parse();
    packet_.family = family;
    packet_.l3_offset = 14;
    packet_.l4_offset = family == Family::ip4 ? 34 : 54;
    return packet_;
  }
  Packet& load_tcp(const Bytes& frame, Family family, uint16_t segment_size, size_t piece) {
    Packet& packet = load(frame, family, piece);
    packet.l4_protocol = kProtoTcp;
    set_partial(packet, 16, kProtoTcp);
    packet.offload.gso = family == Family::ip4 ? Gso::tcp4 : Gso::tcp6;
    packet.offload.segment_size = segment_size;
    return packet;
  }
  void set_partial(Packet& packet, uint16_t field, uint8_t protocol) {
    Bytes pseudo = address_bytes(packet);
    const uint32_t length = packet.length - packet.l4_offset;
    for (const uint32_t byte :
         {length >> 24, length >> 16, length >> 8, length, 0U, uint32_t{protocol}}) {
      pseudo.push_back(static_cast<uint8_t>(byte));
    }
    packet.header<Be16>(packet.l4_offset + field)
        ->set(static_cast<uint16_t>(~naive_checksum(pseudo)));
    packet.offload = {
        .partial_checksum = true, .checksum_start = packet.l4_offset, .checksum_offset = field};
  }
  Drop cut(bool takes_offload = false) {
    frames.clear();
    return for_each_piece(packet_, takes_offload, scratch_, [&](Packet& piece) {
      EXPECT_LE(piece.body_count, kMaxSegments);
      frames.push_back(bytes_of(piece));
      EXPECT_EQ(frames.back().size(), piece.length);
      return frames.size() < stop_after;
    });
  }

  std::vector<Bytes> frames;
  size_t stop_after = SIZE_MAX;

 private:
  Bytes address_bytes(const Packet& packet) {
    const auto* l3 = reinterpret_cast<const uint8_t*>(packet.data()) + packet.l3_offset;
    return packet.family == Family::ip4 ? Bytes(l3 + 12, l3 + 20) : Bytes(l3 + 8, l3 + 40);
  }

  Lab lab_;
  Packet packet_;
  PieceScratch scratch_;
};

// What a sender without offload would have put on the wire.
std::vector<Bytes> reference(const Case& c, const Bytes& payload) {
  std::vector<Bytes> frames;
  for (size_t at = 0; at < payload.size(); at += c.segment_size) {
    const size_t end = std::min(payload.size(), at + c.segment_size);
    uint8_t flags = c.flags;
    if (at != 0) flags &= 0x7f;
    if (end != payload.size()) flags &= 0xf6;
    const Bytes part(payload.begin() + static_cast<ptrdiff_t>(at),
                     payload.begin() + static_cast<ptrdiff_t>(end));
    frames.push_back(frame_of(
        c, part,
        {.sequence = static_cast<uint32_t>(0xffff'f000 + at), .flags = flags, .options = c.options},
        static_cast<uint16_t>(0xfffe + frames.size())));
  }
  return frames;
}

class TcpSegments : public testing::TestWithParam<Case> {};

TEST_P(TcpSegments, equal_what_a_sender_without_offload_sends) {
  const Case& c = GetParam();
  const Bytes payload = filler(c.payload);
  const Tcp fields{.sequence = 0xffff'f000, .flags = c.flags, .options = c.options};
  Cutter cutter;
  cutter.load_tcp(frame_of(c, payload, fields, 0xfffe), c.family, c.segment_size, c.piece);
  ASSERT_EQ(cutter.cut(), Drop::count);
  EXPECT_EQ(cutter.frames, reference(c, payload));
}

INSTANTIATE_TEST_SUITE_P(
    cases, TcpSegments,
    testing::Values(
        Case{.family = Family::ip4, .payload = 3000, .segment_size = 1000},
        Case{.family = Family::ip6, .payload = 3000, .segment_size = 1000},
        Case{.family = Family::ip4, .payload = 2999, .segment_size = 7, .piece = 13},
        Case{.family = Family::ip6, .payload = 1001, .segment_size = 1, .piece = 3},
        Case{.family = Family::ip4, .payload = 100, .segment_size = 1460},
        Case{
            .family = Family::ip4, .payload = 65000, .segment_size = 1448, .options = Bytes(12, 1)},
        Case{
            .family = Family::ip6, .payload = 65000, .segment_size = 1428, .options = Bytes(12, 1)},
        Case{.family = Family::ip6, .payload = 5000, .segment_size = 999, .options = Bytes(40, 1)},
        Case{.family = Family::ip4, .payload = 60, .segment_size = 20, .flags = 0x10}));

TEST(Segments, header_past_the_snapshot_is_copied_from_the_body) {
  // 14 + 60 + 60 bytes of headers.
  const Bytes segment = tcp(filler(500), {.options = Bytes(40, 1)});
  const Bytes frame =
      eth(kEtherIp4, ip4({.protocol = kProtoTcp, .options = Bytes(40, 1)}, segment));
  Cutter cutter;
  Packet& packet = cutter.load(frame, Family::ip4, 3);
  packet.l4_protocol = kProtoTcp;
  packet.l4_offset = 74;
  cutter.set_partial(packet, 16, kProtoTcp);
  packet.offload.gso = Gso::tcp4;
  packet.offload.segment_size = 500;
  ASSERT_EQ(cutter.cut(), Drop::count);
  ASSERT_EQ(cutter.frames.size(), 1U);
  EXPECT_EQ(cutter.frames[0], frame);
}

TEST(Segments, whole_when_the_port_takes_offload) {
  const Case c{.family = Family::ip4, .payload = 3000, .segment_size = 1000};
  Cutter cutter;
  const Bytes frame =
      bytes_of(cutter.load_tcp(frame_of(c, filler(3000), {}, 1), c.family, 1000, 100));
  ASSERT_EQ(cutter.cut(true), Drop::count);
  EXPECT_EQ(cutter.frames, std::vector<Bytes>{frame});
}

TEST(Segments, emission_stops_when_the_receiver_says_so) {
  const Case c{.family = Family::ip4, .payload = 3000, .segment_size = 100};
  Cutter cutter;
  cutter.load_tcp(frame_of(c, filler(3000), {}, 1), c.family, 100, 100);
  cutter.stop_after = 4;
  EXPECT_EQ(cutter.cut(), Drop::count);
  EXPECT_EQ(cutter.frames.size(), 4U);
}

TEST(Segments, more_than_the_bound_is_refused) {
  const Case c{.family = Family::ip4, .payload = kMaxPieces * 4 + 1, .segment_size = 4};
  Cutter cutter;
  cutter.load_tcp(frame_of(c, filler(c.payload), {}, 1), c.family, 4, 100);
  EXPECT_EQ(cutter.cut(), Drop::tx_segmentation);
  EXPECT_TRUE(cutter.frames.empty());
}

TEST(Checksums, udp_sum_of_zero_is_sent_as_ones) {
  // The payload makes the whole sum 0xffff, so the checksum would be 0.
  Bytes payload = filler(40);
  payload[0] = payload[1] = 0;
  const Bytes probe = ip4({}, udp(payload));
  payload[0] = probe[26];
  payload[1] = probe[27];
  const Bytes frame = eth(kEtherIp4, ip4({}, udp(payload)));
  ASSERT_EQ(frame[40], 0xff);
  ASSERT_EQ(frame[41], 0xff);
  Cutter cutter;
  Packet& packet = cutter.load(frame, Family::ip4, 100);
  packet.l4_protocol = kProtoUdp;
  cutter.set_partial(packet, 6, kProtoUdp);
  ASSERT_EQ(cutter.cut(), Drop::count);
  EXPECT_EQ(cutter.frames, std::vector<Bytes>{frame});
}

// Puts fragments together again as RFC 791 3.2 says.
Bytes reassemble(const std::vector<Bytes>& frames) {
  Bytes payload;
  for (const Bytes& frame : frames) {
    const size_t header = (frame[14] & 0x0fU) * 4U;
    const size_t total = frame[16] * 256U + frame[17];
    const size_t offset = ((frame[20] & 0x1fU) * 256U + frame[21]) * 8;
    EXPECT_EQ(frame.size(), 14 + total);
    EXPECT_EQ(naive_checksum(
                  Bytes(frame.begin() + 14, frame.begin() + static_cast<ptrdiff_t>(14 + header))),
              0);
    EXPECT_EQ((frame[20] & 0x20) != 0, &frame != &frames.back());
    EXPECT_EQ(offset, payload.size());
    payload.insert(payload.end(), frame.begin() + static_cast<ptrdiff_t>(14 + header), frame.end());
  }
  return payload;
}

TEST(Fragments, reassemble_to_the_packet_at_every_mtu) {
  const Bytes datagram = udp(filler(1999));
  for (uint16_t mtu = 68; mtu < 1500; mtu = static_cast<uint16_t>(mtu + 61)) {
    Cutter cutter;
    Packet& packet =
        cutter.load(eth(kEtherIp4, ip4({.l4_checksum = false}, datagram)), Family::ip4, 77);
    packet.tx_mtu = mtu;
    ASSERT_EQ(cutter.cut(), Drop::count);
    for (const Bytes& frame : cutter.frames) EXPECT_LE(frame.size(), 14U + mtu);
    EXPECT_EQ(reassemble(cutter.frames), datagram) << mtu;
  }
}

TEST(Fragments, only_copied_options_go_into_later_ones) {
  const Bytes options{148, 4, 0, 0, 7, 7,
                      4,   0, 0, 0, 0, 1};  // router alert (copied), record route, nop
  Cutter cutter;
  Packet& packet =
      cutter.load(eth(kEtherIp4, ip4({.options = options}, udp(filler(1000)))), Family::ip4, 100);
  packet.tx_mtu = 600;
  ASSERT_EQ(cutter.cut(), Drop::count);
  ASSERT_EQ(cutter.frames.size(), 2U);
  EXPECT_EQ(cutter.frames[0][14], 0x48);
  EXPECT_EQ(cutter.frames[1][14], 0x46);
  EXPECT_EQ(Bytes(cutter.frames[1].begin() + 34, cutter.frames[1].begin() + 38),
            Bytes({148, 4, 0, 0}));
  reassemble(cutter.frames);
}

TEST(Fragments, checksum_is_complete_before_the_cut) {
  const Bytes frame = eth(kEtherIp4, ip4({}, udp(filler(1500))));
  Cutter cutter;
  Packet& packet = cutter.load(frame, Family::ip4, 100);
  packet.l4_protocol = kProtoUdp;
  cutter.set_partial(packet, 6, kProtoUdp);
  packet.tx_mtu = 700;
  ASSERT_EQ(cutter.cut(true), Drop::count);
  EXPECT_EQ(reassemble(cutter.frames), Bytes(frame.begin() + 34, frame.end()));
}

}  // namespace
}  // namespace weir::dataplane::test
