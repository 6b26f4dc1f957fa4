// Runs every row of the packet tables, and checks that the tables name every drop.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/dataplane/rows.h"

namespace weir::dataplane::test {
namespace {

class PacketTable : public testing::TestWithParam<Row> {};

TEST_P(PacketTable, row) {
  const Row& row = GetParam();
  Lab lab;
  if (row.prepare != nullptr) row.prepare(lab);
  const Outcome outcome = lab.run(row.frame, row.in, row.offload);
  EXPECT_TRUE(outcome.settled);
  std::map<Drop, uint64_t> expected;
  if (row.drop != Drop::count) expected[row.drop] = 1;
  EXPECT_EQ(outcome.drops, expected)
      << "counted: "
      << (outcome.drops.empty() ? "nothing" : info(outcome.drops.begin()->first).name);
  ASSERT_EQ(outcome.frames.size(), row.out.size());
  for (size_t i = 0; i < row.out.size(); ++i)
    EXPECT_EQ(outcome.frames[i], row.out[i]) << "frame " << i;
  EXPECT_EQ(outcome.out_port, row.out_port);
}

INSTANTIATE_TEST_SUITE_P(rows, PacketTable, testing::ValuesIn(all_rows()),
                         [](const auto& row) { return row.param.name; });

// Reasons of the ports and the worker have tests of their own.
bool is_ours(std::string_view name) {
  for (const auto* stage : {"parse_", "source_", "arp_", "nd_", "route_", "local_", "rewrite_",
                            "mtu_", "icmp_", "tx_segmentation", "tx_port_gone", "rx_offload",
                            "connection_", "service_", "masquerade_"}) {
    if (name.starts_with(stage)) return true;
  }
  return false;
}

TEST(PacketTables, every_drop_reason_of_a_stage_has_a_row) {
  std::set<Drop> seen;
  for (const Row& row : all_rows()) seen.insert(row.drop);
  for (size_t i = 0; i < kDropCount; ++i) {
    if (is_ours(kDrops[i].name)) {
      EXPECT_TRUE(seen.contains(static_cast<Drop>(i))) << kDrops[i].name;
    }
  }
}

// Two ports share one vector: what one packet does must not leak into its neighbours.
TEST(PacketTables, a_full_vector_gives_each_packet_its_own_verdict) {
  const std::vector<Row> rows = all_rows();
  Lab lab;
  Vector& vector = lab.vector();
  size_t tx = 0;
  size_t drops = 0;
  for (uint16_t i = 0; i < kVectorSize; ++i) {
    Packet& packet = vector.packets[i];
    const Row& row = rows[i % rows.size()];
    lab.fill(packet, row.frame);
    packet.in_port = row.in;
    packet.offload = row.offload;
    (row.out.empty() ? drops : tx) += 1;
  }
  vector.start(kVectorSize);
  run_pipeline<false>(vector, lab.context(), lab.counters(), nullptr);
  EXPECT_EQ(vector.queue(Next::tx).count, tx);
  EXPECT_EQ(vector.queue(Next::drop).count, drops);
}

// RFC 4443 2.4 f: a burst, then the rate; each port has a bucket of its own.
TEST(IcmpErrors, are_limited_by_port_to_a_burst_and_a_rate) {
  Lab lab;
  const Bytes expired = sent4(ip4({.ttl = 1}, udp()));
  const Bytes expired_b = sent4(ip4({.source = "10.1.0.3", .ttl = 1}, udp()), from(kMacB));
  const auto answered = [&](const Bytes& frame, uint16_t port, size_t packets) {
    size_t answers = 0;
    for (size_t i = 0; i < packets; ++i) answers += lab.run(frame, port).frames.size();
    return answers;
  };
  EXPECT_EQ(answered(expired, kPodA, kIcmpErrorBurst + 20), kIcmpErrorBurst);
  EXPECT_EQ(answered(expired_b, kPodB, 10), 10U);
  lab.context().now += 10 * kLabTscHz / kIcmpErrorsPerSecond;
  EXPECT_EQ(answered(expired, kPodA, 20), 10U);
}

class Steps : public TraceSink {
 public:
  void step(const Packet& packet, size_t packet_index, Next stage, Next verdict) noexcept override {
    EXPECT_EQ(packet_index, 0U);
    const bool rejected = verdict == Next::drop || verdict == Next::icmp_error;
    EXPECT_EQ(packet.drop != Drop::count, rejected || stage == Next::icmp_error);
    path.push_back(stage);
    last = verdict;
  }
  std::vector<Next> path;
  Next last = Next::count;
};

TEST(Trace, follows_a_rejected_packet_and_the_error_about_it) {
  Lab lab;
  Steps steps;
  lab.run(sent4(ip4({.ttl = 1}, udp())), kPodA, {}, &steps);
  const std::vector<Next> expected{Next::express,    Next::route, Next::rewrite,
                                   Next::icmp_error, Next::route, Next::rewrite, Next::mtu};
  EXPECT_EQ(steps.path, expected);
  EXPECT_EQ(steps.last, Next::tx);
}

}  // namespace
}  // namespace weir::dataplane::test
