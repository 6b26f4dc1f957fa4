#include <gtest/gtest.h>

#include "dataplane/neighbor/messages.h"
#include "tests/dataplane/lab.h"

namespace weir::dataplane::test {
namespace {

const MacAddress kOwn = mac("02:00:00:00:00:01");
const MacAddress kTheirs = mac("02:00:00:00:00:02");
const Asker kAsker{kOwn, *parse_address("192.0.2.1"), *parse_address("2001:db8::1")};

Bytes question(std::string_view target, const MacAddress* known = nullptr) {
  Packet packet;
  make_question(kAsker, *parse_address(target), known, packet);
  EXPECT_EQ(packet.length, packet.head_length);
  EXPECT_EQ(packet.family, Family::none);
  return bytes_of(packet);
}

Bytes arp_request(const MacAddress& to) {
  return eth(kEtherArp, arp({.sender_mac = kOwn, .sender = "192.0.2.1", .target = "192.0.2.2"}),
             {.destination = to, .source = kOwn});
}

Bytes solicitation(std::string_view ip_to, std::string_view mac_to) {
  const Bytes message =
      icmp({.type = kIcmp6NeighborSolicitation, .rest = 0}, nd_body("2001:db8::12:3456", 1, kOwn));
  return eth(kEtherIp6,
             ip6({.source = "2001:db8::1", .destination = ip_to, .next_header = kProtoIcmp6, .hop_limit = 255},
                 message),
             {.destination = mac(mac_to), .source = kOwn});
}

TEST(NeighborQuestion, AsksAllInArpsBroadcast) {
  EXPECT_EQ(question("192.0.2.2"), arp_request(mac("ff:ff:ff:ff:ff:ff")));
}

TEST(NeighborQuestion, AsksOneAlone) { EXPECT_EQ(question("192.0.2.2", &kTheirs), arp_request(kTheirs)); }

TEST(NeighborQuestion, SolicitsTheGroupOfTheTargetsLastBytes) {
  EXPECT_EQ(question("2001:db8::12:3456"), solicitation("ff02::1:ff12:3456", "33:33:ff:12:34:56"));
}

TEST(NeighborQuestion, SolicitsOneAlone) {
  EXPECT_EQ(question("2001:db8::12:3456", &kTheirs), solicitation("2001:db8::12:3456", "02:00:00:00:00:02"));
}

// What a worker hands over: a frame that parse has seen.
std::optional<Announcement> read(const Bytes& frame) {
  Lab lab;
  Vector& vector = lab.vector();
  lab.fill(vector.packets[0], frame);
  vector.packets[0].in_port = kHost;
  vector.start(1);
  run_pipeline<false>(vector, lab.context(), lab.counters(), nullptr);
  return read_announcement(vector.packets[0]);
}

Bytes arp_frame(uint16_t operation, std::string_view target, const MacAddress& sender = kTheirs) {
  return eth(kEtherArp, arp({.operation = operation, .sender_mac = sender, .sender = "192.0.2.2", .target = target}),
             {.source = kTheirs});
}

Bytes advertisement(uint32_t flags, uint8_t option = 2) {
  return eth(kEtherIp6,
             ip6({.source = "2001:db8::2", .destination = "2001:db8::1", .next_header = kProtoIcmp6, .hop_limit = 255},
                 icmp({.type = kIcmp6NeighborAdvertisement, .rest = flags}, nd_body("2001:db8::2", option, kTheirs))),
             {.source = kTheirs});
}

TEST(NeighborAnnouncement, AnArpReplyIsAnAnswer) {
  const auto said = read(arp_frame(2, "192.0.2.1"));
  ASSERT_TRUE(said);
  EXPECT_EQ(to_string(said->address), "192.0.2.2");
  EXPECT_EQ(said->mac, kTheirs);
  EXPECT_TRUE(said->answer);
}

TEST(NeighborAnnouncement, GratuitousArpIsNone) {
  for (const uint16_t operation : {uint16_t{1}, uint16_t{2}}) {
    const auto said = read(arp_frame(operation, "192.0.2.2"));
    ASSERT_TRUE(said);
    EXPECT_FALSE(said->answer);
  }
}

TEST(NeighborAnnouncement, NoGroupHasAnAddress) {
  EXPECT_FALSE(read(arp_frame(2, "192.0.2.1", mac("01:00:5e:00:00:01"))));
  EXPECT_FALSE(read(arp_frame(2, "192.0.2.1", MacAddress{})));
}

TEST(NeighborAnnouncement, OnlyASolicitedAdvertisementIsAnAnswer) {
  const auto solicited = read(advertisement(0x6000'0000));
  ASSERT_TRUE(solicited);
  EXPECT_EQ(to_string(solicited->address), "2001:db8::2");
  EXPECT_EQ(solicited->mac, kTheirs);
  EXPECT_TRUE(solicited->answer);
  const auto unasked = read(advertisement(0x2000'0000));
  ASSERT_TRUE(unasked);
  EXPECT_FALSE(unasked->answer);
}

TEST(NeighborAnnouncement, WithoutTargetsMacThereIsNothingToLearn) {
  EXPECT_FALSE(read(advertisement(0x6000'0000, 1)));
}

}  // namespace
}  // namespace weir::dataplane::test
