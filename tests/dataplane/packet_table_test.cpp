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
                            "mtu_", "icmp_", "tx_segmentation", "tx_port_gone", "rx_offload"}) {
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

}  // namespace
}  // namespace weir::dataplane::test
