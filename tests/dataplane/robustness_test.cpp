// Hostile frames, seeded: the pipeline must end every one in tx or in exactly one named
// drop and never touch a byte that is not the frame's (the sanitizer build sees that).
#include <gtest/gtest.h>

#include "tests/dataplane/hostile_frames.h"

namespace weir::dataplane::test {
namespace {

constexpr size_t kFrames = 300'000;

// What every frame that leaves must be, whatever came in.
void check_sent(const Bytes& frame) {
  ASSERT_GE(frame.size(), 34U);
  const uint16_t type = static_cast<uint16_t>(frame[12] << 8 | frame[13]);
  EXPECT_EQ(std::memcmp(frame.data() + 6, kGatewayMac.bytes.data(), 6), 0);
  if (type == kEtherIp4) {
    const size_t header = (frame[14] & 0x0fU) * 4U;
    EXPECT_EQ(frame[16] * 256U + frame[17], frame.size() - 14);
    EXPECT_EQ(naive_checksum(
                  Bytes(frame.begin() + 14, frame.begin() + static_cast<ptrdiff_t>(14 + header))),
              0);
    EXPECT_GT(frame[22], 0);
  } else if (type == kEtherIp6) {
    EXPECT_EQ(frame[18] * 256U + frame[19], frame.size() - 54);
    EXPECT_GT(frame[21], 0);
  } else {
    EXPECT_EQ(type, kEtherArp);
  }
}

TEST(Robustness, every_hostile_frame_ends_in_tx_or_one_named_drop) {
  HostileFrames hostile;
  Lab lab;
  size_t sent = 0;
  std::map<Drop, size_t> drops;
  for (size_t i = 0; i < kFrames && !testing::Test::HasFailure(); ++i) {
    const Bytes frame = hostile.frame();
    lab.context().now += kLabTscHz / 1000;
    const Outcome outcome = lab.run(frame, hostile.port(), hostile.offload());
    ASSERT_TRUE(outcome.settled) << "frame " << i << ", seed " << seed();
    ASSERT_TRUE(!outcome.frames.empty() || !outcome.drops.empty()) << "frame " << i;
    uint64_t counted = 0;
    for (const auto& [reason, count] : outcome.drops) {
      counted += count;
      drops[reason] += count;
    }
    // An answered packet counts once and its answer may be dropped in turn.
    ASSERT_LE(counted, outcome.frames.empty() ? 2U : 1U) << "frame " << i;
    for (const Bytes& out : outcome.frames) check_sent(out);
    sent += outcome.frames.size();
  }
  EXPECT_GT(sent, kFrames / 50) << "the frames are too broken to reach the later stages";
  EXPECT_GT(drops.size(), 35U) << "too few kinds of damage";
}

}  // namespace
}  // namespace weir::dataplane::test
