// Hostile frames, seeded: the pipeline must end every one in tx or in exactly one named
// drop and never touch a byte that is not the frame's (the sanitizer build sees that).
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "tests/dataplane/rows.h"

namespace weir::dataplane::test {
namespace {

constexpr size_t kFrames = 300'000;

uint32_t seed() {
  const char* text = std::getenv("WEIR_TEST_SEED");
  return text != nullptr ? static_cast<uint32_t>(std::strtoul(text, nullptr, 0)) : 20240607;
}

class Hostile {
 public:
  Hostile() : random_(seed()) {
    for (const Row& row : all_rows()) valid_.push_back(row.frame);
  }

  Bytes frame() {
    if (random_() % 4 == 0) return noise();
    Bytes frame = valid_[random_() % valid_.size()];
    for (size_t n = random_() % 6; n > 0 && !frame.empty(); --n) mutate(frame);
    if (random_() % 8 != 0) repair(frame);
    return frame;
  }

  Offload offload() {
    Offload offload;
    if (random_() % 4 != 0) return offload;
    offload.partial_checksum = random_() % 2 == 0;
    offload.gso = static_cast<Gso>(random_() % 3);
    offload.segment_size = static_cast<uint16_t>(random_() % 3 == 0 ? random_() : random_() % 1500);
    offload.checksum_start = static_cast<uint16_t>(random_() % 2 == 0 ? 34 : random_());
    offload.checksum_offset = static_cast<uint16_t>(random_() % 2 == 0 ? 16 : random_());
    return offload;
  }

  uint16_t port() { return static_cast<uint16_t>(1 + random_() % 5); }

 private:
  Bytes noise() {
    Bytes frame(random_() % 300);
    for (uint8_t& byte : frame) byte = static_cast<uint8_t>(random_());
    if (frame.size() > 14) {
      const MacAddress to = kGatewayMac;
      std::copy(to.bytes.begin(), to.bytes.end(), frame.begin());
      static constexpr std::array<uint16_t, 4> kTypes{kEtherIp4, kEtherIp6, kEtherArp, kEtherVlan};
      const uint16_t type = kTypes[random_() % kTypes.size()];
      frame[12] = static_cast<uint8_t>(type >> 8);
      frame[13] = static_cast<uint8_t>(type);
    }
    return frame;
  }

  void mutate(Bytes& frame) {
    switch (random_() % 4) {
      case 0: frame.resize(random_() % (frame.size() + 40)); break;
      case 1:
        frame.insert(frame.begin() + static_cast<ptrdiff_t>(random_() % frame.size()),
                     static_cast<uint8_t>(random_()));
        break;
      default: {
        // Most harm is done in the headers.
        const size_t range = std::min<size_t>(frame.size(), random_() % 2 == 0 ? 80 : SIZE_MAX);
        frame[random_() % range] =
            static_cast<uint8_t>(random_() % 3 == 0 ? 0xff * (random_() % 2) : random_());
      }
    }
  }

  // A right IPv4 header checksum, so that what lies behind it is reached.
  static void repair(Bytes& frame) {
    if (frame.size() < 34 || frame[12] != 8 || frame[13] != 0) return;
    const size_t header = std::min<size_t>((frame[14] & 0x0fU) * 4U, frame.size() - 14);
    if (header < 20) return;
    frame[24] = frame[25] = 0;
    const Bytes bytes(frame.begin() + 14, frame.begin() + static_cast<ptrdiff_t>(14 + header));
    const uint16_t sum = naive_checksum(bytes);
    frame[24] = static_cast<uint8_t>(sum >> 8);
    frame[25] = static_cast<uint8_t>(sum);
  }

  std::mt19937 random_;
  std::vector<Bytes> valid_;
};

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
  Hostile hostile;
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
