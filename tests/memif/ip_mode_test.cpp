// IP mode: packets without an Ethernet header on the rings, frames on the worker's side.
#include "dataplane/core/headers.h"
#include "tests/memif/harness.h"

namespace weir::dataplane::memif::test {
namespace {

constexpr MacAddress kPodMac{{6, 0x77, 0, 0, 0, 9}};
constexpr size_t kLinkHeader = sizeof(EthernetHeader);

class IpMode : public MemifTest {
 protected:
  void SetUp() override {
    api::PortConfig ip = config();
    ip.memif_mode = api::MemifMode::ip;
    ip.mac = kPodMac;
    make_port(ip);
    options_ = options();
    options_.mode = Mode::ip;
  }

  Bytes packet(uint8_t version, size_t length) const {
    Bytes bytes = make_frame(length);
    bytes[0] = static_cast<std::byte>(version << 4 | 5);
    return bytes;
  }
  static Bytes frame(uint16_t ethertype, const Bytes& packet) {
    EthernetHeader header{.destination = {{2, 0x77, 0x65, 0x69, 0x72, 1}}, .source = kPodMac};
    header.ethertype.set(ethertype);
    Bytes bytes(kLinkHeader);
    std::memcpy(bytes.data(), &header, sizeof header);
    bytes.insert(bytes.end(), packet.begin(), packet.end());
    return bytes;
  }

  ClientOptions options_;
};

TEST_F(IpMode, PacketsBecomeFramesToTheGateway) {
  RawClient client(options_);
  ASSERT_TRUE(client.connect(path_));
  for (const auto& [version, ethertype] : {std::pair<uint8_t, uint16_t>{4, kEtherIp4},
                                           {6, kEtherIp6},
                                           {5, kEtherReserved},
                                           {0, kEtherReserved}}) {
    // Around the snapshot, with and without a link header, and in several buffers.
    for (const size_t length : {1U, 20U, 113U, 114U, 115U, 128U, 129U, 1500U, 9000U}) {
      const Bytes sent = packet(version, length);
      ASSERT_TRUE(client.send_frame(sent));
      EXPECT_EQ(rx(), std::vector<Bytes>{frame(ethertype, sent)}) << length;
    }
  }
}

TEST_F(IpMode, FramesLoseTheirLinkHeader) {
  RawClient client(options_);
  ASSERT_TRUE(client.connect(path_));
  for (const size_t length : {20U, 113U, 114U, 115U, 128U, 142U, 1500U, 9000U}) {
    const Bytes sent = packet(4, length);
    EXPECT_EQ(tx({frame(kEtherIp4, sent)})[0], Drop::count);
    EXPECT_EQ(client.receive_frame(), sent) << length;
    client.refill();
  }
}

TEST_F(IpMode, ATaggedFrameLosesItsTagToo) {
  RawClient client(options_);
  ASSERT_TRUE(client.connect(path_));
  const Bytes sent = packet(4, 60);
  Bytes tagged = frame(kEtherVlan, sent);
  tagged.insert(tagged.begin() + kLinkHeader, sizeof(VlanHeader), std::byte{0});
  EXPECT_EQ(tx({tagged}, kLinkHeader + sizeof(VlanHeader))[0], Drop::count);
  EXPECT_EQ(client.receive_frame(), sent);
}

TEST_F(IpMode, AFrameThatWasNotSentIsWholeAgain) {
  Packet one;
  one.length = one.head_length = 60;
  one.l3_offset = kLinkHeader;
  Packet* pointer = &one;
  Drop drop = Drop::count;
  RawClient client(options_);
  ASSERT_TRUE(client.connect(path_));
  for (int i = 0; i < client.ring_size(); ++i) ASSERT_EQ(port_->tx({&pointer, 1}, &drop), 1);
  ASSERT_EQ(port_->tx({&pointer, 1}, &drop), 0);
  EXPECT_EQ(drop, Drop::tx_ring_full);
  EXPECT_EQ(one.length, 60U);
  EXPECT_EQ(one.head_offset, kHeadroom);
}

TEST_F(IpMode, EthernetClientIsRefused) {
  EXPECT_EQ(RawClient(options()).connect(path_).error().text, "this port is in IP mode");
}

}  // namespace
}  // namespace weir::dataplane::memif::test
