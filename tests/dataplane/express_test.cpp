// The express stage must be a shortcut alone: whatever it admits, parse and source_check
// admit too and find the same.
#include <gtest/gtest.h>

#include "dataplane/nodes/express.h"
#include "dataplane/nodes/source_check.h"
#include "tests/dataplane/hostile_frames.h"

namespace weir::dataplane::test {
namespace {

constexpr size_t kFrames = 1'000'000;

struct Found {
  Next next;
  Packet packet;
};

Found fill(Lab& lab, const Bytes& frame, uint16_t port, const Offload& offload) {
  Found found{};
  lab.fill(found.packet, frame);
  found.packet.in_port = port;
  found.packet.offload = offload;
  return found;
}

Found by_express(Lab& lab, const Bytes& frame, uint16_t port, const Offload& offload) {
  Found found = fill(lab, frame, port, offload);
  found.next = Express::classify(found.packet, lab.context());
  return found;
}

Found by_stages(Lab& lab, const Bytes& frame, uint16_t port, const Offload& offload) {
  Found found = fill(lab, frame, port, offload);
  found.next = Parse::classify(found.packet, lab.context());
  if (found.next == Next::source_check) found.next = SourceCheck::classify(found.packet, lab.context());
  return found;
}

void expect_same(const Found& a, const Found& b) {
  ASSERT_EQ(a.next, b.next);
  EXPECT_EQ(a.packet.length, b.packet.length);
  EXPECT_EQ(bytes_of(a.packet), bytes_of(b.packet));
  EXPECT_EQ(a.packet.family, b.packet.family);
  EXPECT_EQ(a.packet.l3_offset, b.packet.l3_offset);
  EXPECT_EQ(a.packet.l4_offset, b.packet.l4_offset);
  EXPECT_EQ(a.packet.l4_length, b.packet.l4_length);
  EXPECT_EQ(a.packet.l4_protocol, b.packet.l4_protocol);
  EXPECT_EQ(a.packet.fragment, b.packet.fragment);
}

TEST(Express, admits_plain_packets) {
  Lab lab;
  for (const Bytes& frame :
       {eth(kEtherIp4, ip4({}, udp())), eth(kEtherIp4, ip4({.protocol = kProtoTcp}, tcp())),
        eth(kEtherIp4, ip4({.protocol = kProtoIcmp4}, icmp())), eth(kEtherIp4, ip4({.fragment = 0x4000}, udp())),
        eth(kEtherIp6, ip6({}, udp())), eth(kEtherIp6, ip6({.next_header = kProtoTcp}, tcp()))}) {
    const Found found = by_express(lab, frame, kPodA, {});
    EXPECT_EQ(found.next, Next::route);
    expect_same(found, by_stages(lab, frame, kPodA, {}));
  }
}

TEST(Express, leaves_trusted_ports_to_the_stages) {
  Lab lab;
  EXPECT_EQ(by_express(lab, eth(kEtherIp4, ip4({}, udp())), kHost, {}).next, Next::parse);
}

TEST(Express, never_admits_what_the_stages_do_not) {
  Lab lab;
  HostileFrames hostile;
  size_t admitted = 0;
  for (size_t i = 0; i < kFrames && !testing::Test::HasFailure(); ++i) {
    const Bytes frame = hostile.frame();
    const uint16_t port = hostile.port();
    const Offload offload = hostile.offload();
    const Found found = by_express(lab, frame, port, offload);
    if (found.next == Next::parse) continue;
    ++admitted;
    expect_same(found, by_stages(lab, frame, port, offload));
    if (testing::Test::HasFailure()) ADD_FAILURE() << "frame " << i << ", seed " << seed();
  }
  EXPECT_GT(admitted, kFrames / 100) << "too few frames came near";
}

}  // namespace
}  // namespace weir::dataplane::test
