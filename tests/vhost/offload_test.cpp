// What the header in front of a frame asks for: checked, passed on, and never more than the
// driver negotiated (virtio 1.2, 5.1.6).
#include "tests/vhost/link_fixture.h"

namespace weir::dataplane::vhost::test {
namespace {

constexpr uint8_t kUdpFragments = 3;  // VIRTIO_NET_HDR_GSO_UDP, never offered

class OffloadTest : public LinkTest {
 protected:
  VirtioHeader header_of_received() {
    link_->flush();
    VirtioHeader header;
    const Bytes got = take_received();
    if (got.size() >= sizeof header) std::memcpy(&header, got.data(), sizeof header);
    return header;
  }
};
INSTANTIATE_TEST_SUITE_P(Rings, OffloadTest, testing::Bool(), ring_kind);

constexpr Offload kSegments6{.partial_checksum = true,
                             .gso = Gso::tcp6,
                             .segment_size = 1428,
                             .checksum_start = 54,
                             .checksum_offset = 16};

TEST_P(OffloadTest, DriversRequestsReachThePacket) {
  transmit(make_frame(9000), 0,
           {.flags = kVirtioNeedsChecksum,
            .gso_type = kVirtioGsoTcp6 | kVirtioGsoEcn,
            .gso_size = 1428,
            .checksum_start = 54,
            .checksum_offset = 16});
  ASSERT_EQ(rx(), 1);
  EXPECT_EQ(packets_[0].offload.gso, Gso::tcp6);
  EXPECT_EQ(packets_[0].offload.segment_size, 1428);
  EXPECT_EQ(packets_[0].offload.checksum_start, 54);
  EXPECT_EQ(packets_[0].offload.checksum_offset, 16);
}

TEST_P(OffloadTest, RequestThatWasNotOfferedIsADrop) {
  for (const uint8_t type : {kUdpFragments, uint8_t{5}, uint8_t{0x7f}}) {
    transmit(make_frame(9000), 0, {.gso_type = type, .gso_size = 1400});
    EXPECT_EQ(rx(), 0) << int{type};
    link_->rx_done();
    EXPECT_TRUE(transmit_->take_used()) << "it is given back all the same";
  }
  EXPECT_EQ(drops(Drop::rx_offload), 3U);
  EXPECT_FALSE(link_->faulty());
}

TEST_P(OffloadTest, DriverThatTakesThemGetsSegmentsUncut) {
  start(kDefaultFeatures | kGuestOffload);
  ASSERT_TRUE(link_->takes_offload());
  offer_buffers(16, 4096);
  ASSERT_EQ(send(make_frame(30000), kSegments6), Drop::count);
  const VirtioHeader header = header_of_received();
  EXPECT_EQ(header.flags, kVirtioNeedsChecksum);
  EXPECT_EQ(header.gso_type, kVirtioGsoTcp6);
  EXPECT_EQ(header.gso_size, 1428);
  EXPECT_EQ(header.checksum_start, 54);
  EXPECT_EQ(header.checksum_offset, 16);
}

TEST_P(OffloadTest, DriverThatTakesThemNotIsNeverSentOne) {
  for (const uint64_t some : {uint64_t{0}, kNetGuestChecksum, kNetGuestChecksum | kNetGuestTso4}) {
    start(kDefaultFeatures | some);
    EXPECT_FALSE(link_->takes_offload()) << "weir cuts and sums for it";
    offer_buffers(16, 4096);
    EXPECT_EQ(send(make_frame(3000), kSegments6), Drop::tx_segmentation);
    EXPECT_EQ(send(make_frame(3000)), Drop::count);
    EXPECT_EQ(header_of_received().gso_type, kVirtioGsoNone);
  }
}

}  // namespace
}  // namespace weir::dataplane::vhost::test
