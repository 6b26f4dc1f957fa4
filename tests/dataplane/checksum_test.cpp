#include "dataplane/core/checksum.h"

#include <gtest/gtest.h>

#include <random>

#include "dataplane/nodes/rewrite.h"
#include "tests/dataplane/lab.h"

namespace weir::dataplane::test {
namespace {

uint16_t swapped(uint16_t value) { return __builtin_bswap16(value); }

TEST(Checksum, every_length_agrees_with_the_plain_loop) {
  const Bytes bytes = filler(600);
  for (size_t length = 0; length <= bytes.size(); ++length) {
    const Bytes part(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(length));
    EXPECT_EQ(finish(add_bytes(0, part.data(), part.size())), swapped(naive_checksum(part)))
        << length;
  }
}

TEST(Checksum, all_ones_do_not_overflow) {
  const Bytes bytes(65535, 0xff);
  EXPECT_EQ(finish(add_bytes(0, bytes.data(), bytes.size())), swapped(naive_checksum(bytes)));
}

TEST(Checksum, frame_sum_sees_pieces_of_any_length_as_one) {
  std::mt19937 random(7);
  Lab lab;
  auto packet = std::make_unique<Packet>();
  for (size_t piece = 1; piece < 80; ++piece) {
    const Bytes frame = filler(128 + piece * 16 - piece / 2);
    lab.fill(*packet, frame, piece);
    for (int i = 0; i < 50; ++i) {
      const size_t from = random() % frame.size();
      const size_t to = from + random() % (frame.size() - from + 1);
      const Bytes part(frame.begin() + static_cast<ptrdiff_t>(from),
                       frame.begin() + static_cast<ptrdiff_t>(to));
      ASSERT_EQ(finish(sum_frame(*packet, from, to)), swapped(naive_checksum(part)))
          << from << " " << to;
    }
  }
}

// RFC 1624 4: the update must never give the other zero than a fresh computation.
TEST(Checksum, ttl_update_agrees_with_recomputation_for_every_header_sum) {
  Ip4Header ip{};
  ip.version_ihl = 0x45;
  for (const int ttl : {1, 2, 64, 128, 255}) {
    for (uint32_t id = 0; id < 65536; ++id) {
      ip.ttl = static_cast<uint8_t>(ttl);
      ip.identification.set(static_cast<uint16_t>(id));
      ip.checksum = {};
      ip.checksum.set_wire(header_checksum(ip));
      ASSERT_TRUE(plain_checksum_good(ip)) << ttl << " " << id;
      Ip4Header other = ip;
      change_ttl(other, -1);
      decrement_ttl(ip);
      ASSERT_EQ(std::memcmp(&ip, &other, sizeof ip), 0) << ttl << " " << id;
      ASSERT_EQ(header_checksum(ip), 0) << ttl << " " << id;
      change_ttl(ip, 1);
      ASSERT_EQ(header_checksum(ip), 0) << ttl << " " << id;
    }
  }
}

TEST(Checksum, a_plain_header_is_good_only_with_its_own_checksum) {
  Ip4Header ip{};
  ip.version_ihl = 0x45;
  ip.source.set(0x0a010002);
  const uint16_t good = header_checksum(ip);
  for (uint32_t checksum = 0; checksum < 65536; ++checksum) {
    ip.checksum.set_wire(static_cast<uint16_t>(checksum));
    ASSERT_EQ(plain_checksum_good(ip), checksum == good) << checksum;
  }
}

TEST(Checksum, pseudo_headers_agree_with_the_builders) {
  Bytes packet = ip4({}, udp(filler(31)));
  Ip4Header four;
  std::memcpy(&four, packet.data(), sizeof four);
  EXPECT_EQ(finish(add_bytes(pseudo_header(four, kProtoUdp, 39), packet.data() + 20, 39)), 0);
  packet = ip6({.next_header = kProtoTcp}, tcp(filler(31)));
  Ip6Header six;
  std::memcpy(&six, packet.data(), sizeof six);
  EXPECT_EQ(finish(add_bytes(pseudo_header(six, kProtoTcp, 51), packet.data() + 40, 51)), 0);
}

}  // namespace
}  // namespace weir::dataplane::test
