// Drivers that break the rules of their rings: each is found before a byte outside the memory
// is touched, named, and final for the link.
#include "tests/vhost/link_fixture.h"

namespace weir::dataplane::vhost::test {
namespace {

constexpr uint64_t kTable = 0x10000;

struct Case {
  const char* name;
  std::vector<Buffer> chain;
  const char* fault;  // behind the ring's name
};

class TransmitFault : public LinkTest {};
INSTANTIATE_TEST_SUITE_P(Rings, TransmitFault, testing::Bool(), ring_kind);

const std::vector<Case>& transmit_cases() {
  constexpr const char* kRange = "descriptor points outside the memory table";
  constexpr const char* kIndirectFault =
      "indirect table is empty, odd, nested or outside the memory";
  constexpr const char* kShort = "buffer is shorter than the header";
  static const std::vector<Case> cases = {
      {"outside", {{SharedMemory::kSize, 100}}, kRange},
      {"across the end", {{SharedMemory::kSize - 50, 100}}, kRange},
      {"wraps", {{~0ULL - 49, 100}}, kRange},
      {"second outside", {{kTransmitBuffers, 100}, {SharedMemory::kSize, 1}}, kRange},
      {"to be written", {{kTransmitBuffers, 100, kDescriptorWrite}},
       "descriptor for the wrong direction"},
      {"no frame", {{kTransmitBuffers, kFullHeader}}, kShort},
      {"empty", {{kTransmitBuffers, 0}}, kShort},
      {"too long", {{kTransmitBuffers, kFullHeader + kMaxFrame + 1}},
       "frame longer than 65553 bytes"},
      {"table outside", {{SharedMemory::kSize, 16, kDescriptorIndirect}}, kIndirectFault},
      {"table odd", {{kTable, 17, kDescriptorIndirect}}, kIndirectFault},
      {"table unaligned", {{kTable + 4, 16, kDescriptorIndirect}}, kIndirectFault},
      {"table empty", {{kTable, 0, kDescriptorIndirect}}, kIndirectFault},
      {"table and more", {{kTable, 16, kDescriptorIndirect}, {kTransmitBuffers, 100}},
       kIndirectFault},
  };
  return cases;
}

TEST_P(TransmitFault, IsNamedAndFinal) {
  for (const Case& one : transmit_cases()) {
    start(kDefaultFeatures);
    transmit_->offer(one.chain, 0);
    EXPECT_EQ(rx(), 0) << one.name;
    EXPECT_EQ(link_->fault_text(), std::string("transmit ring: ") + one.fault) << one.name;
    EXPECT_TRUE(link_->take_fault_report());
    EXPECT_FALSE(link_->take_fault_report()) << "once";
    transmit(make_frame(60), 8);
    offer_buffers(1, 2048);
    EXPECT_EQ(rx(), 0);
    EXPECT_EQ(send(make_frame(60)), Drop::tx_port_down);
  }
}

TEST_P(TransmitFault, ChainIsBounded) {
  transmit_->offer(std::vector<Buffer>(kMaxChain, {kTransmitBuffers, 64}), 0);
  EXPECT_EQ(rx(), 0) << "more pieces than a packet has";
  EXPECT_FALSE(link_->faulty());
  EXPECT_EQ(drops(Drop::rx_truncated), 1U);
}

TEST_P(TransmitFault, NestedTable) {
  const auto inner = std::array<uint64_t, 2>{kTable, 16};
  std::memcpy(memory_.at(kTable), inner.data(), sizeof inner);
  // flags lie in another place in each kind of descriptor
  const uint16_t flags = kDescriptorIndirect;
  std::memcpy(memory_.at(kTable + (GetParam() ? 14 : 12)), &flags, sizeof flags);
  const Buffer table{kTable, 16, kDescriptorIndirect};
  transmit_->offer(std::span(&table, 1), 0);
  rx();
  EXPECT_TRUE(link_->faulty());
}

class ReceiveFault : public LinkTest {};
INSTANTIATE_TEST_SUITE_P(Rings, ReceiveFault, testing::Bool(), ring_kind);

TEST_P(ReceiveFault, IsNamedAndFinal) {
  const std::vector<Case> cases = {
      {"outside", {{SharedMemory::kSize, 2048, kDescriptorWrite}},
       "descriptor points outside the memory table"},
      {"to be read", {{kReceiveBuffers, 2048}}, "descriptor for the wrong direction"},
      {"shorter than the header", {{kReceiveBuffers, 11, kDescriptorWrite}},
       "buffer is shorter than the header"},
      {"empty", {{kReceiveBuffers, 0, kDescriptorWrite}}, "buffer is shorter than the header"},
  };
  for (const Case& one : cases) {
    start(kDefaultFeatures);
    receive_->offer(one.chain, 0);
    EXPECT_EQ(send(make_frame(60)), Drop::tx_port_down) << one.name;
    EXPECT_EQ(link_->fault_text(), std::string("receive ring: ") + one.fault) << one.name;
  }
}

// Buffers over the rings themselves harm who offered them alone.
TEST_P(ReceiveFault, BuffersOverTheRings) {
  for (uint16_t id = 0; id < kRing; ++id) {
    const Buffer all{0, 0x10000, kDescriptorWrite};
    receive_->offer(std::span(&all, 1), id);
  }
  for (int i = 0; i < 2 * kRing; ++i) {
    send(Bytes(0xf000, std::byte{0xff}));
    link_->flush();
    rx();
    link_->rx_done();
  }
}

class SplitFault : public LinkTest {
 protected:
  SplitDriver& driver() { return dynamic_cast<SplitDriver&>(*transmit_); }
};
INSTANTIATE_TEST_SUITE_P(Rings, SplitFault, testing::Values(false), ring_kind);

TEST_P(SplitFault, IndexMovesBeyondTheRing) {
  for (const uint16_t index : {uint16_t{kRing + 1}, uint16_t{0x8000}, uint16_t{0xffff}}) {
    start(kDefaultFeatures);
    driver().available_index() = index;
    EXPECT_EQ(rx(), 0);
    EXPECT_EQ(link_->fault_text(), "transmit ring: available index moved beyond the ring");
  }
}

TEST_P(SplitFault, NumbersBeyondTheRing) {
  driver().make_available(kRing);
  rx();
  EXPECT_EQ(link_->fault_text(), "transmit ring: descriptor number beyond the ring");
  start(kDefaultFeatures);
  driver().descriptor(0) = {kTransmitBuffers, 100, kDescriptorNext, kRing};
  driver().make_available(0);
  rx();
  EXPECT_EQ(link_->fault_text(), "transmit ring: descriptor number beyond the ring");
}

TEST_P(SplitFault, ChainWithoutEnd) {
  driver().descriptor(0) = {kTransmitBuffers, 100, kDescriptorNext, 0};
  driver().make_available(0);
  rx();
  EXPECT_EQ(link_->fault_text(), "transmit ring: chain of more than 32 descriptors");
}

}  // namespace
}  // namespace weir::dataplane::vhost::test
