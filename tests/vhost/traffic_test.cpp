// Frames through good rings, both ways.
#include "tests/vhost/link_fixture.h"

namespace weir::dataplane::vhost::test {
namespace {

class Traffic : public LinkTest {};
INSTANTIATE_TEST_SUITE_P(Rings, Traffic, testing::Bool(), ring_kind);

TEST_P(Traffic, FramesOfTheDriver) {
  for (const size_t length : {1U, 60U, 64U, 65U, 128U, 129U, 1514U, 9018U, 65553U}) {
    const Bytes frame = make_frame(length);
    transmit(frame);
    ASSERT_EQ(rx(), 1) << length << link_->fault_text();
    EXPECT_EQ(received(0), frame);
    link_->rx_done();
    ASSERT_TRUE(transmit_->take_used());
  }
}

TEST_P(Traffic, RingsGoRound) {
  for (uint16_t i = 0; i < 5 * kRing; ++i) {
    const Bytes frame = make_frame(60 + i);
    transmit(frame, i % kRing);
    offer_buffers(1, 2048, i % kRing);
    ASSERT_EQ(rx(), 1);
    EXPECT_EQ(received(0), frame);
    link_->rx_done();
    ASSERT_EQ(transmit_->take_used()->id, i % kRing);
    ASSERT_EQ(send(frame), Drop::count);
    link_->flush();
    EXPECT_EQ(take_received().size(), kFullHeader + frame.size());
  }
}

TEST_P(Traffic, NothingIsGivenBackBeforeRxDone) {
  transmit(make_frame(1000));
  ASSERT_EQ(rx(), 1);
  EXPECT_FALSE(transmit_->take_used());
  link_->rx_done();
  EXPECT_TRUE(transmit_->take_used());
}

// As Linux sends: the header apart, then pieces that end where they like.
TEST_P(Traffic, ChainsAndIndirectTables) {
  const Bytes frame = make_frame(3000);
  const uint32_t length = write(kTransmitBuffers, {}, frame);
  const std::vector<Buffer> pieces = {{kTransmitBuffers, kFullHeader},
                                      {kTransmitBuffers + 12, 100},
                                      {kTransmitBuffers + 112, 1},
                                      {kTransmitBuffers + 113, length - 113}};
  transmit_->offer(pieces, 0);
  constexpr uint64_t kTable = 0x10000;
  for (uint16_t i = 0; i < pieces.size(); ++i) {
    const uint16_t more = i + 1U < pieces.size() ? kDescriptorNext : uint16_t{0};
    auto* const slot = memory_.at(kTable + i * sizeof(SplitDescriptor));
    if (GetParam()) {
      const PackedDescriptor one{pieces[i].address, pieces[i].length, 0, 0};
      std::memcpy(slot, &one, sizeof one);
    } else {
      const SplitDescriptor one{pieces[i].address, pieces[i].length, more,
                                static_cast<uint16_t>(i + 1)};
      std::memcpy(slot, &one, sizeof one);
    }
  }
  const Buffer table{kTable, static_cast<uint32_t>(16 * pieces.size()), kDescriptorIndirect};
  transmit_->offer(std::span(&table, 1), 8);
  ASSERT_EQ(rx(), 2) << link_->fault_text();
  EXPECT_EQ(received(0), frame);
  EXPECT_EQ(received(1), frame);
}

TEST_P(Traffic, FrameOverSeveralBuffers) {
  offer_buffers(4, 600);
  const Bytes frame = make_frame(1514);
  ASSERT_EQ(send(frame), Drop::count);
  EXPECT_TRUE(take_received().empty()) << "before it is flushed";
  link_->flush();
  const Bytes got = take_received();
  ASSERT_EQ(got.size(), kFullHeader + frame.size());
  EXPECT_TRUE(std::equal(frame.begin(), frame.end(), got.begin() + kFullHeader));
  EXPECT_EQ(got[sizeof(VirtioHeader)], std::byte{3});
}

TEST_P(Traffic, FrameThatDoesNotFitLeavesTheBuffers) {
  offer_buffers(2, 600);
  EXPECT_EQ(send(make_frame(1514)), Drop::tx_ring_full);
  EXPECT_EQ(send(make_frame(1100)), Drop::count);
  EXPECT_EQ(send(make_frame(60)), Drop::tx_ring_full);
  link_->flush();
  EXPECT_EQ(take_received().size(), kFullHeader + 1100U);
}

TEST_P(Traffic, WithoutMergeableBuffersAFrameTakesOne) {
  start(kVersion1);
  offer_buffers(4, 600);
  EXPECT_EQ(send(make_frame(1000)), Drop::tx_too_long);
  EXPECT_EQ(send(make_frame(500)), Drop::count);
  link_->flush();
  EXPECT_EQ(take_received().size(), kFullHeader + 500U);
}

// A link that follows another goes on where that one stood.
TEST_P(Traffic, NextLinkGoesOn) {
  transmit(make_frame(60), 0);
  ASSERT_EQ(rx(), 1);
  link_->finish();
  ASSERT_TRUE(transmit_->take_used());
  PairPlace pair{receive_->place(*mapped_), transmit_->place(*mapped_)};
  pair.receive.base = link_->base(0);
  pair.transmit.base = link_->base(1);
  link_ = Link::make({.memory = mapped_, .features = features_, .pairs = std::span(&pair, 1)});
  EXPECT_EQ(rx(), 0);
  transmit(make_frame(61), 1);
  ASSERT_EQ(rx(), 1);
  EXPECT_EQ(received(0), make_frame(61));
}

TEST_P(Traffic, ArmSeesWhatWaits) {
  EXPECT_FALSE(link_->arm());
  transmit(make_frame(60));
  EXPECT_TRUE(link_->arm());
}

TEST_P(Traffic, InterruptsAreAskedFor) {
  offer_buffers(1, 2048);
  transmit(make_frame(60));
  ASSERT_EQ(send(make_frame(60)), Drop::count);
  EXPECT_EQ(link_->flush(), 1U) << "the receive ring's bit";
  EXPECT_EQ(link_->flush(), 0U) << "nothing new";
  ASSERT_EQ(rx(), 1);
  EXPECT_EQ(link_->rx_done(), 2U) << "the transmit ring's bit";
}

}  // namespace
}  // namespace weir::dataplane::vhost::test
