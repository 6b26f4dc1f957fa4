#include "tests/dataplane/rows.h"

namespace weir::dataplane::test {
namespace {

constexpr uint16_t kDf = kIp4DontFragment;

// A TCP super-frame as a kernel port receives it: the checksum field holds the sum of
// the pseudo-header.
Bytes super_frame(size_t payload, uint16_t fragment, uint8_t ttl = 64) {
  Bytes pseudo{10, 1, 0, 2, 10, 1, 0, 3, 0, kProtoTcp};
  const size_t length = 20 + payload;
  pseudo.push_back(static_cast<uint8_t>(length >> 8));
  pseudo.push_back(static_cast<uint8_t>(length));
  const auto sum = static_cast<uint16_t>(~naive_checksum(pseudo));
  return ip4({.protocol = kProtoTcp, .ttl = ttl, .fragment = fragment, .l4_checksum = false},
             tcp(filler(payload), {.checksum = sum}));
}

Bytes part_of(const Bytes& bytes, size_t from, size_t length) {
  const auto first = bytes.begin() + static_cast<ptrdiff_t>(from);
  return Bytes(first, first + static_cast<ptrdiff_t>(length));
}

// One TCP segment of super_frame(): number `index` at `offset`.
Bytes segment_of(size_t payload, uint16_t fragment, uint16_t index, size_t offset, size_t length) {
  const bool last = offset + length == payload;
  return routed4(ip4({.protocol = kProtoTcp,
                      .ttl = 63,
                      .identification = static_cast<uint16_t>(0x1234 + index),
                      .fragment = fragment},
                     tcp(part_of(filler(payload), offset, length),
                         {.sequence = static_cast<uint32_t>(1000 + offset),
                          .flags = static_cast<uint8_t>(last ? 0x18 : 0x10)})));
}

Offload tcp4(uint16_t size) {
  return {.partial_checksum = true,
          .gso = Gso::tcp4,
          .segment_size = size,
          .checksum_start = 34,
          .checksum_offset = 16};
}

std::vector<Row> plain_rows() {
  const Bytes exact = udp(filler(1400 - 28));
  const Bytes big = udp(filler(1401 - 28));
  const Bytes datagram = part_of(ip4({}, udp(filler(2000))), 20, 2008);
  const auto piece = [&](uint16_t field, size_t from, size_t length) {
    return routed4(
        ip4({.ttl = 63, .fragment = field, .l4_checksum = false}, part_of(datagram, from, length)));
  };
  return {
      {.name = "exact_mtu",
       .frame = sent4(ip4({.fragment = kDf}, exact)),
       .out = {routed4(ip4({.ttl = 63, .fragment = kDf}, exact))},
       .out_port = kPodB},
      {.name = "too_big_df",
       .frame = sent4(ip4({.fragment = kDf}, big)),
       .drop = Drop::mtu_too_big,
       .out = {error4(ip4({.fragment = kDf}, big), 3, 4, 1400)},
       .out_port = kPodA},
      {.name = "too_big_ip6",
       .frame = sent6(ip6({}, udp(filler(1401 - 48)))),
       .drop = Drop::mtu_too_big,
       .out = {error6(ip6({}, udp(filler(1401 - 48))), 2, 0, 1400)},
       .out_port = kPodA},
      {.name = "fragmented",
       .frame = sent4(ip4({}, udp(filler(2000)))),
       .out = {piece(kIp4MoreFragments, 0, 1376), piece(172, 1376, 632)},
       .out_port = kPodB},
      {.name = "fragment_again",
       .frame =
           sent4(ip4({.fragment = kIp4MoreFragments | 100, .l4_checksum = false}, filler(1440))),
       .out = {routed4(ip4({.ttl = 63, .fragment = kIp4MoreFragments | 100, .l4_checksum = false},
                           part_of(filler(1440), 0, 1376))),
               routed4(ip4({.ttl = 63, .fragment = kIp4MoreFragments | 272, .l4_checksum = false},
                           part_of(filler(1440), 1376, 64)))},
       .out_port = kPodB},
  };
}

std::vector<Row> super_frame_rows() {
  std::vector<Bytes> cut;
  for (uint16_t i = 0; i < 3; ++i) {
    const size_t offset = i * 1000U;
    cut.push_back(segment_of(2500, kDf, i, offset, i == 2 ? 500 : 1000));
  }
  return {
      {.name = "segments",
       .frame = sent4(super_frame(2500, kDf)),
       .out = cut,
       .out_port = kPodB,
       .offload = tcp4(1000)},
      {.name = "segments_too_big_df",
       .frame = sent4(super_frame(2800, kDf)),
       .drop = Drop::mtu_too_big,
       .out = {error4(super_frame(2800, kDf), 3, 4, 1400)},
       .out_port = kPodA,
       .offload = tcp4(1400)},
      {.name = "segments_made_smaller",
       .frame = sent4(super_frame(2800, 0)),
       .out = {segment_of(2800, 0, 0, 0, 1360), segment_of(2800, 0, 1, 1360, 1360),
               segment_of(2800, 0, 2, 2720, 80)},
       .out_port = kPodB,
       .offload = tcp4(1400)},
      {.name = "checksum_completed",
       .frame = sent4(super_frame(700, kDf)),
       .out = {routed4(ip4({.protocol = kProtoTcp, .ttl = 63, .fragment = kDf}, tcp(filler(700))))},
       .out_port = kPodB,
       .offload = {.partial_checksum = true, .checksum_start = 34, .checksum_offset = 16}},
      {.name = "too_many_segments",
       .frame = sent4(super_frame(3000, kDf)),
       .drop = Drop::tx_segmentation,
       .offload = tcp4(2)},
  };
}

}  // namespace

std::vector<Row> mtu_rows() {
  std::vector<Row> rows = plain_rows();
  for (Row& row : super_frame_rows()) {
    if (row.drop == Drop::tx_segmentation) row.out_port = kPodB;
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace weir::dataplane::test
