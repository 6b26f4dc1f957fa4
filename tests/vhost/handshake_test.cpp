// What a front-end may say, message by message, to a device without a socket.
#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include "dataplane/ports/vhost/device.h"
#include "tests/vhost/driver.h"

namespace weir::dataplane::vhost::test {
namespace {

constexpr uint64_t kDriverFeatures = kVersion1 | kVhostProtocol;

// The parameter: whether rings are packed.
class Handshake : public testing::TestWithParam<bool> {
 protected:
  static Message blank(Request request, uint32_t size, uint32_t flags = kVersion) {
    Message message{};
    message.header = {request, flags, size};
    return message;
  }
  static Message number(Request request, uint64_t value, uint32_t flags = kVersion) {
    Message message = blank(request, sizeof value, flags);
    message.number = value;
    return message;
  }
  static Message vring(Request request, uint32_t index, uint32_t value) {
    Message message = blank(request, sizeof message.state);
    message.state = {index, value};
    return message;
  }
  static Message table(uint32_t regions = 1) {
    Message message = blank(Request::set_mem_table,
                            static_cast<uint32_t>(8 + regions * sizeof(MemoryRegion)));
    message.memory.count = regions;
    message.memory.regions[0] = SharedMemory::region();
    return message;
  }
  static api::Fd event() { return api::Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }

  // The reply, if there was one. `reason_`: why the message was refused.
  std::optional<Message> say(const Message& message, api::Fd file = {}) {
    std::vector<api::Fd> files;
    if (file) files.push_back(std::move(file));
    auto reply = device_.receive(message, files);
    reason_ = reply ? "" : reply.error().text;
    return reply ? *reply : std::nullopt;
  }
  void say_features() {
    say(number(Request::set_features, kDriverFeatures | (GetParam() ? kPackedRing : 0)));
  }
  void say_ring(uint32_t index) {
    const auto ring = make_ring(GetParam(), memory_, index * uint64_t{0x8000}, 256);
    say(vring(Request::set_vring_num, index, 256));
    Message address = blank(Request::set_vring_addr, sizeof(VringAddress));
    address.address = ring->address(index);
    say(address);
    say(vring(Request::set_vring_base, index, GetParam() ? 0x8000U : 7U));
    say(number(Request::set_vring_call, index), event());
    say(number(Request::set_vring_kick, index), event());
    say(vring(Request::set_vring_enable, index, 1));
  }
  void say_all() {
    say_features();
    say(table(), memory_.file());
    say_ring(0);
    say_ring(1);
  }

  SharedMemory memory_;
  Device device_{DeviceConfig{.pairs = 1}};
  std::string reason_;
};
INSTANTIATE_TEST_SUITE_P(Rings, Handshake, testing::Bool(), [](const auto& packed) {
  return packed.param ? "Packed" : "Split";
});

TEST_P(Handshake, RunsWhenAllIsSaid) {
  say_features();
  say(table(), memory_.file());
  say_ring(0);
  EXPECT_EQ(device_.ready_pairs(), 0);
  say_ring(1);
  ASSERT_EQ(device_.ready_pairs(), 1) << reason_;
  const auto places = device_.places();
  ASSERT_TRUE(places) << places.error().text;
  EXPECT_EQ((*places)[0].transmit.size, 256);
}

TEST_P(Handshake, OffersWhatItTakes) {
  const auto features = say(blank(Request::get_features, 0));
  ASSERT_TRUE(features);
  EXPECT_EQ(features->number & kNetMultiqueue, 0U) << "one pair";
  EXPECT_NE(features->number & kPackedRing, 0U);
  EXPECT_EQ(say(blank(Request::get_queue_num, 0))->number, 1U);
  say(number(Request::set_features, 1ULL << 63));
  EXPECT_EQ(reason_, "features that were not offered");
  say(number(Request::set_features, kPackedRing));
  EXPECT_EQ(reason_, "packed rings need virtio 1");
}

TEST_P(Handshake, AnswersWhoAsksForIt) {
  const auto asking = number(Request::set_features, kDriverFeatures, kVersion | kFlagNeedReply);
  EXPECT_FALSE(say(asking)) << "before it was negotiated";
  say(number(Request::set_protocol_features, kProtocolReplyAck));
  const auto reply = say(asking);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->number, 0U);
}

TEST_P(Handshake, LengthsAndDescriptorsGoWithTheType) {
  say(blank(Request::set_features, 4));
  EXPECT_EQ(reason_, "message of type 2 is too short");
  say(blank(Request::set_features, 16));
  EXPECT_EQ(reason_, "message of type 2 is too long");
  say(blank(static_cast<Request>(4711), 0));
  EXPECT_EQ(reason_, "unexpected message of type 4711");
  say(table());
  EXPECT_EQ(reason_, "message of type 5 with a wrong number of file descriptors");
  say(blank(Request::get_features, 0), event());
  EXPECT_EQ(reason_, "message of type 1 with a wrong number of file descriptors");
}

TEST_P(Handshake, VringsThatAreNone) {
  say(vring(Request::set_vring_num, 2, 256));
  EXPECT_EQ(reason_, "vring index beyond the queues");
  say(vring(Request::set_vring_num, 0, kMaxRing + 1));
  EXPECT_EQ(reason_, "vring size is not 1 to 32768");
  say(number(Request::set_vring_kick, 0), memory_.file());
  EXPECT_EQ(reason_, "vring's file descriptor is not an eventfd");
}

TEST_P(Handshake, RingsOutsideTheMemoryDoNotRun) {
  say_all();
  Message address = blank(Request::set_vring_addr, sizeof(VringAddress));
  for (const uint64_t base : {uint64_t{0}, SharedMemory::kUser + SharedMemory::kSize - 64}) {
    address.address = {.index = 1, .descriptors = base, .device = base, .driver = base};
    say(address);
    EXPECT_EQ(device_.places().error().text, "vring lies outside the memory table");
  }
}

TEST_P(Handshake, GettingTheBaseStopsTheVring) {
  say_all();
  device_.set_base(0, GetParam() ? 0x8005 : 12);
  const auto base = say(vring(Request::get_vring_base, 0, 0));
  ASSERT_TRUE(base);
  EXPECT_EQ(base->state.num, GetParam() ? 0x8005'8005U : 12U);
  EXPECT_EQ(device_.ready_pairs(), 0);
}

TEST_P(Handshake, WhatRunningRingsDependOnDisturbsThem) {
  EXPECT_TRUE(device_.disturbs(table()));
  EXPECT_TRUE(device_.disturbs(vring(Request::set_vring_enable, 0, 0)));
  EXPECT_FALSE(device_.disturbs(number(Request::set_vring_call, 0)));
  EXPECT_FALSE(device_.disturbs(blank(Request::get_features, 0)));
}

}  // namespace
}  // namespace weir::dataplane::vhost::test
