// Masquerade by uplinks over several packets.
#include <gtest/gtest.h>

#include <set>

#include "dataplane/api/masquerade.h"
#include "tests/dataplane/ends.h"
#include "tests/dataplane/services.h"

namespace weir::dataplane::test {
namespace {

constexpr std::string_view kHost4 = "203.0.113.9";
constexpr std::string_view kUplink4 = "203.0.113.1";
constexpr size_t kSource = 14 + 12;  // of an IPv4 header in a frame
constexpr size_t kSourcePort = 14 + 20;

class UplinkMasquerade : public testing::Test {
 protected:
  // "address:port" that the host outside sees; empty: nothing was sent.
  std::string source_of(const Bytes& frame, uint16_t in = kPodA) {
    const Outcome outcome = lab_.run(frame, in);
    if (outcome.frames.size() != 1 || outcome.out_port != kUplink) return "";
    const Bytes& sent = outcome.frames[0];
    IpAddress address{.family = Family::ip4};
    std::copy_n(sent.begin() + kSource, 4, address.bytes.begin());
    return to_string(address) + ":" +
           std::to_string(sent[kSourcePort] * 256 + sent[kSourcePort + 1]);
  }
  static Bytes from_a(uint16_t port, uint8_t protocol = kProtoUdp) {
    return in_frame({"10.1.0.2", port, kHost4, 8080}, kMacA, protocol);
  }
  static Bytes from_b(uint16_t port) {
    return in_frame({"10.1.0.3", port, kHost4, 8080}, kMacB);
  }

  Lab lab_;
};

TEST_F(UplinkMasquerade, TwoPodsWithOnePortStayApart) {
  masquerade_uplink(lab_);
  EXPECT_EQ(source_of(from_a(4000)), "203.0.113.1:4000");
  const std::string other = source_of(from_b(4000), kPodB);
  EXPECT_NE(other, "203.0.113.1:4000");
  EXPECT_EQ(source_of(from_b(4000), kPodB), other);
  const auto port = static_cast<uint16_t>(std::stoi(other.substr(other.find(':') + 1)));
  const Outcome reply = lab_.run(in_frame({kHost4, 8080, kUplink4, port}, kMacNeighbor), kUplink);
  EXPECT_EQ(reply.frames.at(0), out_frame({kHost4, 8080, "10.1.0.3", 4000, 63}, kMacB));
}

TEST_F(UplinkMasquerade, APortServesManyHostsAtOnce) {
  masquerade_uplink(lab_, 2000, 2000);
  for (const std::string_view host : {"203.0.113.7", "203.0.113.8", "203.0.113.9"})
    EXPECT_EQ(source_of(in_frame({"10.1.0.2", 1, host, 8080}, kMacA)), "203.0.113.1:2000") << host;
}

TEST_F(UplinkMasquerade, PortsOfTheRangeAreGivenOutOnceEachAndThenNoMore) {
  masquerade_uplink(lab_, 2000, 2007);
  std::set<std::string> seen;
  for (uint16_t port = 1; port <= 8; ++port) seen.insert(source_of(from_a(port)));
  EXPECT_EQ(seen.size(), 8U);
  EXPECT_FALSE(seen.contains(""));
  EXPECT_EQ(lab_.run(from_a(9)).drops, (std::map<Drop, uint64_t>{{Drop::connection_no_port, 1}}));
}

TEST_F(UplinkMasquerade, OpenConnectionsOutliveAChangeOfTheNetworks) {
  masquerade_uplink(lab_);
  EXPECT_EQ(source_of(from_a(4000)), "203.0.113.1:4000");
  set_prefixes(lab_, api::kKeptSet, {"203.0.113.0/24"});
  EXPECT_EQ(source_of(from_a(4000)), "203.0.113.1:4000");
  EXPECT_EQ(source_of(from_a(4001)), "10.1.0.2:4001");
  set_prefixes(lab_, api::kKeptSet, {});
  EXPECT_EQ(source_of(from_a(4000)), "203.0.113.1:4000");
}

TEST_F(UplinkMasquerade, PacketsOfOneNewFlowInOneVectorShareAConnection) {
  masquerade_uplink(lab_);
  Vector& vector = lab_.vector();
  for (uint16_t i = 0; i < 8; ++i) {
    lab_.fill(vector.packets[i], from_a(4000));
    vector.packets[i].in_port = kPodA;
  }
  vector.start(8);
  run_pipeline<false>(vector, lab_.context(), lab_.counters(), nullptr);
  EXPECT_EQ(vector.queue(Next::tx).count, 8);
  EXPECT_EQ(lab_.connections().stats().created, 1U);
}

TEST_F(UplinkMasquerade, ANewSynOnAnEndedConnectionOpensAnother) {
  masquerade_uplink(lab_);
  const auto segment = [](uint8_t flags) {
    return sent4(ip4({.destination = kHost4, .protocol = kProtoTcp},
                     tcp({}, {.source = 4000, .destination = 8080, .flags = flags})));
  };
  EXPECT_EQ(source_of(segment(kTcpSyn)), "203.0.113.1:4000");
  EXPECT_EQ(source_of(segment(kTcpRst)), "203.0.113.1:4000");
  EXPECT_EQ(source_of(segment(kTcpSyn)), "203.0.113.1:4000");
  EXPECT_EQ(lab_.connections().stats().created, 2U);
}

// What a hostile LAN may cost is bounded; who cannot be remembered is let in all the same.
TEST_F(UplinkMasquerade, DatagramsFromOutsideArriveWithoutRoomToRememberThem) {
  masquerade_uplink(lab_);
  lab_.connections().set_outside_quota(0);
  const Outcome outcome =
      lab_.run(in_frame({kHost4, 5000, "10.1.0.2", 53}, kMacNeighbor), kUplink);
  EXPECT_EQ(outcome.out_port, kPodA);
  EXPECT_TRUE(outcome.drops.empty());
}

TEST_F(UplinkMasquerade, AnEchoIsForgottenAfterAMinute) {
  masquerade_uplink(lab_);
  lab_.run(in_frame({"10.1.0.2", 7, kHost4, 0}, kMacA, kProtoIcmp4));
  EXPECT_EQ(lab_.connections().stats().in_use, 1U);
  lab_.context().ticks += 61 * kTicksPerSecond;
  lab_.connections().reap(lab_.context().ticks, 2048);
  EXPECT_EQ(lab_.connections().stats().in_use, 0U);
}

}  // namespace
}  // namespace weir::dataplane::test
