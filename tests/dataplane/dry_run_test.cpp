// Dry runs say what becomes of a packet, and leave no trace of it.
#include "dataplane/nodes/dry_run.h"

#include <gtest/gtest.h>

#include "tests/dataplane/rows.h"
#include "tests/dataplane/services.h"

namespace weir::dataplane::test {
namespace {

constexpr std::string_view kA4 = "10.1.0.2";
constexpr std::string_view kB4 = "10.1.0.3";

FlowKey flow(std::string_view from, uint16_t from_port, std::string_view to, uint16_t to_port,
             uint8_t protocol = kProtoUdp) {
  const IpAddress source = parse_address(from).value();
  return {.source = source.bytes,
          .destination = parse_address(to).value().bytes,
          .source_port = __builtin_bswap16(from_port),
          .destination_port = __builtin_bswap16(to_port),
          .protocol = protocol,
          .family = source.family};
}

class DryRuns : public testing::Test {
 protected:
  DryRuns() { serve(lab_); }

  DryRun run(const FlowKey& sent, uint16_t in = kPodA) { return dry_run(sent, in, lab_.context()); }
  DryRun to_vip(uint16_t port, uint8_t protocol = kProtoUdp) {
    return run(flow(kA4, 4000, kVip4, port, protocol));
  }
  void send(uint16_t port) {
    lab_.run(
        sent4(ip4({.destination = kVip4}, udp(filler(10), {.source = 4000, .destination = port}))));
  }

  Lab lab_;
};

TEST_F(DryRuns, ARoutedPacketLeavesAsItIs) {
  const DryRun seen = run(flow(kA4, 4000, kB4, 80));
  EXPECT_EQ(seen.end, api::PathEnd::delivered);
  EXPECT_EQ(seen.out_port, kPodB);
  EXPECT_EQ(seen.leaves, seen.sent);
  EXPECT_EQ(seen.choice, api::PathChoice::none);
  EXPECT_EQ(to_string(seen.next_hop), "02:00:00:00:00:0b");
}

TEST_F(DryRuns, LargerPacketsAreCutOrRefused) {
  const DryRun ip4 = run(flow(kA4, 4000, kB4, 80));
  EXPECT_EQ(ip4.mtu, 1400);
  EXPECT_NE(ip4.flags & api::kPathLargerIsCut, 0U);
  EXPECT_EQ(ip4.larger.type4 * 256 + ip4.larger.code4, 3 * 256 + 4);
  const DryRun ip6 = run(flow("fd00::2", 4000, "fd00::3", 80));
  EXPECT_EQ(ip6.flags & api::kPathLargerIsCut, 0U);
  EXPECT_EQ(ip6.larger.type6, kIcmp6TooBig);
  EXPECT_EQ(ip6.larger.mtu, 1400);
}

TEST_F(DryRuns, EachProtocolGoesToItsBackendAndOpensNothing) {
  for (const uint8_t protocol : {kProtoUdp, kProtoTcp, kProtoSctp}) {
    const DryRun seen = to_vip(80, protocol);
    EXPECT_EQ(seen.end, api::PathEnd::delivered);
    EXPECT_EQ(seen.choice, api::PathChoice::hash);
    EXPECT_EQ(seen.leaves, flow(kA4, 4000, kB4, 8080, protocol));
    EXPECT_NE(seen.flags & api::kPathInside, 0U);
  }
  const DryRun ip6 = run(flow("fd00::2", 4000, kVip6, 80));
  EXPECT_EQ(ip6.leaves, flow("fd00::2", 4000, "fd00::3", 8080));
  EXPECT_EQ(lab_.connections().stats().created, 0U);
  EXPECT_TRUE(lab_.connections().empty());
}

TEST_F(DryRuns, AgreesWithWhatIsSentAfterwards) {
  set_group(lab_, 1, {{"192.0.2.1", 8080}, {"192.0.2.2", 8080}, {"192.0.2.3", 8080}});
  for (uint16_t port = 1; port < 50; ++port) {
    const FlowKey key = flow(kA4, port, kVip4, 80);
    const DryRun seen = run(key);
    lab_.run(
        sent4(ip4({.destination = kVip4}, udp(filler(10), {.source = port, .destination = 80}))));
    const auto match = lab_.connections().find(key, lab_.connections().hash(key));
    ASSERT_TRUE(match);
    EXPECT_EQ(match.connection->reverse_key().source, seen.leaves.destination) << port;
  }
}

TEST_F(DryRuns, AnOpenConnectionIsFollowedBothWays) {
  send(80);
  const DryRun there = to_vip(80);
  EXPECT_EQ(there.choice, api::PathChoice::connection);
  EXPECT_EQ(there.frontend->port, __builtin_bswap16(80));
  const DryRun back = run(flow(kB4, 8080, kA4, 4000), kPodB);
  EXPECT_EQ(back.choice, api::PathChoice::connection);
  EXPECT_EQ(back.flags & api::kPathReply, api::kPathReply);
  EXPECT_EQ(back.leaves, flow(kVip4, 80, kA4, 4000));
  EXPECT_EQ(back.out_port, kPodA);
}

TEST_F(DryRuns, AConnectionWhoseBackendIsGoneCountsAsNew) {
  send(80);
  set_group(lab_, 1, {{"192.0.2.1", 8080}});
  const DryRun seen = to_vip(80);
  EXPECT_EQ(seen.choice, api::PathChoice::hash);
  EXPECT_EQ(seen.out_port, kHost);
  EXPECT_EQ(lab_.connections().stats().repicked, 0U);
}

TEST_F(DryRuns, AffinityIsNamed) {
  set_frontend(lab_, {kVip4, 90}, 1, {.affinity = 7, .affinity_seconds = 100});
  EXPECT_EQ(to_vip(90).choice, api::PathChoice::hash);
  send(90);
  const DryRun seen = run(flow(kA4, 4001, kVip4, 90));
  EXPECT_EQ(seen.choice, api::PathChoice::affinity);
}

TEST_F(DryRuns, MasqueradeNamesTheAddressAndItsPorts) {
  const DryRun seen = to_vip(83);  // hairpin
  EXPECT_NE(seen.flags & api::kPathMasqueraded, 0U);
  EXPECT_EQ(seen.leaves, flow("10.1.0.1", 2000, kA4, 8080));
  EXPECT_EQ(seen.masquerade_first, 2000);
  EXPECT_EQ(seen.masquerade_last, 2000);
}

TEST_F(DryRuns, RefusalsHaveTheirReasonAndTheirError) {
  const DryRun refused = to_vip(81);
  EXPECT_EQ(refused.end, api::PathEnd::rejected);
  EXPECT_EQ(refused.drop, Drop::service_no_backend);
  EXPECT_EQ(refused.icmp.type4 * 256 + refused.icmp.code4, 3 * 256 + 3);
  EXPECT_EQ(to_vip(82).end, api::PathEnd::dropped);
  EXPECT_EQ(to_vip(82).drop, Drop::service_not_local);
  EXPECT_EQ(to_vip(84).drop, Drop::service_source_range);
  EXPECT_EQ(to_vip(99).drop, Drop::service_no_frontend);
  EXPECT_EQ(run(flow("10.1.0.9", 1, kB4, 80)).drop, Drop::source_ip4);
  EXPECT_EQ(run(flow(kA4, 1, "10.5.0.1", 80)).drop, Drop::tx_port_gone);
  EXPECT_EQ(run(flow(kA4, 1, "10.200.0.1", 80)).drop, Drop::route_none);
  EXPECT_EQ(run(flow(kA4, 1, kB4, 80), kGone).drop, Drop::source_port_gone);
}

TEST_F(DryRuns, AFullTableIsNamed) {
  Lab small(1);
  serve_one(small);
  small.connections().set_quota(10);
  small.run(sent4(ip4({.destination = kVip4}, udp(filler(10), {.source = 1, .destination = 80}))));
  EXPECT_EQ(dry_run(flow(kA4, 2, kVip4, 80), kPodA, small.context()).drop,
            Drop::connection_table_full);
}

TEST_F(DryRuns, TheQuotaIsNamed) {
  lab_.connections().set_quota(1);
  send(80);
  EXPECT_EQ(run(flow(kA4, 4001, kVip4, 80)).drop, Drop::connection_quota);
}

TEST_F(DryRuns, EchoIsAnsweredByGatewaysAndVirtualAddresses) {
  for (const std::string_view to : {std::string_view("10.1.0.1"), kVip4}) {
    EXPECT_EQ(run(flow(kA4, 0, to, 0, kProtoIcmp4)).end, api::PathEnd::answered) << to;
  }
  EXPECT_EQ(run(flow("fd00::2", 0, "fd00::1", 0, kProtoIcmp6)).end, api::PathEnd::answered);
  EXPECT_EQ(run(flow(kA4, 0, kB4, 0, kProtoIcmp4)).out_port, kPodB);
}

}  // namespace
}  // namespace weir::dataplane::test
