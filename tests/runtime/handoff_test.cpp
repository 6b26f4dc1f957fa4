// The frame ring between workers: sequential model, then producer and consumer threads.
#include "dataplane/runtime/handoff.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>
#include <thread>
#include <vector>

namespace weir::dataplane {
namespace {

// A frame whose bytes follow from its number, part in the head, part in two pieces.
struct Source {
  explicit Source(uint32_t number, uint32_t length) : bytes(length) {
    for (uint32_t i = 0; i < length; ++i) bytes[i] = static_cast<std::byte>(number + i * 7);
    packet.length = length;
    packet.head_length = static_cast<uint16_t>(std::min<uint32_t>(length, kHeadSize));
    std::memcpy(packet.data(), bytes.data(), packet.head_length);
    const uint32_t rest = length - packet.head_length;
    segments[0] = {bytes.data() + packet.head_length, rest / 2};
    segments[1] = {bytes.data() + packet.head_length + rest / 2, rest - rest / 2};
    packet.body = segments;
    packet.body_count = rest > 0 ? 2 : 0;
    packet.in_port = static_cast<uint16_t>(number);
    packet.out_port = static_cast<uint16_t>(number + 1);
    packet.fragment = number % 2 != 0;
  }
  std::vector<std::byte> bytes;
  Segment segments[2];
  Packet packet;
};

void expect_frame(const Packet& packet, uint64_t key, uint32_t number) {
  ASSERT_EQ(key, number);
  ASSERT_EQ(packet.in_port, static_cast<uint16_t>(number));
  ASSERT_EQ(packet.out_port, static_cast<uint16_t>(number + 1));
  ASSERT_EQ(packet.fragment, number % 2 != 0);
  std::vector<std::byte> bytes(packet.head().begin(), packet.head().end());
  for (uint16_t i = 0; i < packet.body_count; ++i) {
    bytes.insert(bytes.end(), packet.body[i].data, packet.body[i].data + packet.body[i].length);
  }
  ASSERT_EQ(bytes, Source(number, packet.length).bytes);
}

TEST(Handoff, KeepsOrderAndBytesAcrossItsEnd) {
  Handoff ring(1U << 14);
  std::mt19937 random(1);
  std::deque<std::pair<uint32_t, uint32_t>> model;
  uint32_t number = 0;
  for (int step = 0; step < 20000; ++step) {
    if (random() % 2 == 0) {
      const uint32_t length = static_cast<uint32_t>(1 + random() % 3000);
      Source source(number, length);
      if (ring.push(source.packet, number)) model.emplace_back(number++, length);
      ring.publish();
      continue;
    }
    Packet packet;
    Segment segment;
    uint64_t key = 0;
    ASSERT_EQ(ring.peek(packet, segment, key), !model.empty());
    if (model.empty()) continue;
    ASSERT_EQ(packet.length, model.front().second);
    expect_frame(packet, key, model.front().first);
    model.pop_front();
    ring.release();
  }
  EXPECT_GT(number, 1000U);
}

TEST(Handoff, RefusesWhatDoesNotFitAndRecovers) {
  Handoff ring(1U << 12);
  Source source(5, 1000);
  uint32_t pushed = 0;
  while (ring.push(source.packet, 5)) ++pushed;
  EXPECT_EQ(pushed, 3U);
  ring.publish();
  Packet packet;
  Segment segment;
  uint64_t key = 0;
  while (ring.peek(packet, segment, key)) expect_frame(packet, key, 5);
  ring.release();
  EXPECT_TRUE(ring.empty());
  EXPECT_TRUE(ring.push(source.packet, 5));
}

TEST(Handoff, PassesEveryFrameBetweenThreads) {
  constexpr uint32_t kFrames = 20000;
  Handoff ring(1U << 15);
  std::thread producer([&ring] {
    std::mt19937 random(2);
    for (uint32_t number = 0; number < kFrames; ++number) {
      Source source(number, static_cast<uint32_t>(1 + random() % 2000));
      while (!ring.push(source.packet, number)) {
        ring.publish();
        std::this_thread::yield();
      }
      if (number % 8 == 0) ring.publish();
    }
    ring.publish();
  });
  uint32_t next = 0;
  while (next < kFrames) {
    Packet packet;
    Segment segment;
    uint64_t key = 0;
    if (!ring.peek(packet, segment, key)) {
      ring.release();
      std::this_thread::yield();
      continue;
    }
    expect_frame(packet, key, next++);
    if (next % 4 == 0) ring.release();
  }
  producer.join();
}

}  // namespace
}  // namespace weir::dataplane
