// What weir-bench sends and how its sink tells a good frame from a bad one.
#include "bench/traffic/frames.h"

#include <gtest/gtest.h>

#include <thread>

#include "bench/traffic/histogram.h"
#include "bench/traffic/memif_client.h"
#include "bench/traffic/mirror.h"
#include "bench/traffic/prefixes.h"
#include "bench/traffic/traffic.h"

namespace weir::bench {
namespace {

using dataplane::EthernetHeader;
using dataplane::Ip4Header;

FrameSpec spec(Family family) {
  const bool ip4 = family == Family::ip4;
  FrameSpec spec;
  spec.source = *parse_address(ip4 ? "10.0.0.1" : "fd00::1");
  spec.targets = random_addresses(random_prefixes(family, 10), 7);
  spec.flows = 5;
  return spec;
}

class Each : public testing::TestWithParam<Family> {};
INSTANTIATE_TEST_SUITE_P(Frames, Each, testing::Values(Family::ip4, Family::ip6));

TEST_P(Each, TouchedFramesPassTheCheck) {
  Frames frames(spec(GetParam()));
  std::vector<std::byte> frame(100);
  frames.fill(frame.data(), 100);
  for (uint32_t i = 0; i < 100; ++i) {
    frames.touch(frame.data(), 100, 1000 + i);
    const auto stamp = frames.check(frame.data(), 100);
    ASSERT_TRUE(stamp) << i;
    EXPECT_EQ(stamp->number, i);
    EXPECT_EQ(stamp->tsc, 1000 + i);
  }
}

TEST_P(Each, TranslatedFramesPassWhereTheyAreDeliveredAlone) {
  const bool ip4 = GetParam() == Family::ip4;
  FrameSpec translated = spec(GetParam());
  translated.delivered = *parse_address(ip4 ? "10.0.0.9" : "fd00::9");
  Frames frames(translated);
  FrameSpec direct = spec(GetParam());
  direct.targets = {translated.delivered};
  Frames after(direct);
  std::vector<std::byte> frame(100);
  frames.fill(frame.data(), 100);
  frames.touch(frame.data(), 100, 0);
  EXPECT_FALSE(frames.check(frame.data(), 100)) << "still has the service's address";
  after.fill(frame.data(), 100);
  after.touch(frame.data(), 100, 0);
  EXPECT_TRUE(frames.check(frame.data(), 100));
}

TEST_P(Each, AnyChangedAddressOrPortFailsTheCheck) {
  Frames frames(spec(GetParam()));
  std::vector<std::byte> frame(100);
  frames.fill(frame.data(), 100);
  frames.touch(frame.data(), 100, 0);
  const size_t destination = GetParam() == Family::ip4 ? 30 : 38;
  const size_t ports = GetParam() == Family::ip4 ? 34 : 54;
  for (const size_t at : {destination, destination + 3, ports, ports + 3}) {
    frame[at] ^= std::byte{1};
    EXPECT_FALSE(frames.check(frame.data(), 100)) << at;
    frame[at] ^= std::byte{1};
  }
  EXPECT_TRUE(frames.check(frame.data(), 100));
  EXPECT_FALSE(frames.check(frame.data(), 99));
}

TEST(Frames, ChecksumIsRight) {
  Frames frames(spec(Family::ip4));
  std::vector<std::byte> frame(64);
  frames.fill(frame.data(), 64);
  for (int i = 0; i < 20; ++i) {
    frames.touch(frame.data(), 64, 0);
    const auto& ip = *reinterpret_cast<const Ip4Header*>(frame.data() + sizeof(EthernetHeader));
    EXPECT_EQ(dataplane::header_checksum(ip), 0);
  }
}

TEST(Prefixes, AreDifferentRepeatableAndHoldTheirAddresses) {
  for (const Family family : {Family::ip4, Family::ip6}) {
    const auto prefixes = random_prefixes(family, 1000);
    EXPECT_EQ(prefixes, random_prefixes(family, 1000));
    auto sorted = prefixes;
    std::ranges::sort(sorted);
    EXPECT_EQ(std::ranges::adjacent_find(sorted), sorted.end());
    for (const IpAddress& address : random_addresses(prefixes, 100)) {
      const auto holds = [&](const IpPrefix& prefix) { return contains(prefix, address); };
      EXPECT_TRUE(std::ranges::any_of(prefixes, holds)) << to_string(address);
    }
  }
}

TEST(Histogram, PercentilesAreWithinTheirError) {
  Histogram histogram;
  for (uint64_t value = 1; value <= 100000; ++value) histogram.record(value);
  for (const double percent : {1.0, 50.0, 90.0, 99.0, 99.9}) {
    EXPECT_NEAR(static_cast<double>(histogram.percentile(percent)), percent * 1000, percent * 16);
  }
  EXPECT_EQ(histogram.percentile(100), 100000U);
  EXPECT_EQ(histogram.total(), 100000U);
}

TEST(Histogram, TakesAnyValue) {
  Histogram histogram;
  EXPECT_EQ(histogram.percentile(50), 0U);
  histogram.record(0);
  histogram.record(UINT64_MAX);
  EXPECT_EQ(histogram.percentile(50), 0U);
  EXPECT_EQ(histogram.max(), UINT64_MAX);
}

TrafficReport through_mirror(const TrafficOptions& options) {
  auto sender = MemifClient::detached({});
  auto receiver = MemifClient::detached({});
  EXPECT_TRUE(sender && receiver);
  Mirror mirror(sender->view(0), receiver->view(1), UINT32_MAX);
  Traffic traffic(sender->tx(), receiver->rx(), Frames(spec(Family::ip4)), options,
                  [&] { mirror.round(); });
  return traffic.run();
}

TEST(Traffic, EveryFrameComesThroughACopy) {
  for (const Mode mode : {Mode::touch, Mode::replay}) {
    const TrafficReport report =
        through_mirror({.mode = mode, .sizes = {64, 1518}, .warmup = 0, .seconds = 0.02});
    EXPECT_GT(report.received, 0U);
    EXPECT_EQ(report.lost, 0U);
    EXPECT_GT(report.checked, 0U);
    EXPECT_EQ(report.bad, 0U);
  }
}

TEST(Traffic, ADeadDeviceLosesAllThatARateOffers) {
  auto sender = MemifClient::detached({});
  auto receiver = MemifClient::detached({});
  ASSERT_TRUE(sender && receiver);
  Traffic traffic(sender->tx(), receiver->rx(), Frames(spec(Family::ip4)),
                  {.rate = 1e6, .warmup = 0, .seconds = 0.02});
  const TrafficReport report = traffic.run();
  EXPECT_EQ(report.received, 0U);
  EXPECT_EQ(report.lost, report.sent);
  EXPECT_EQ(report.sent + report.refused, report.offered);
  EXPECT_EQ(report.sent, 1024U);  // what the ring holds
}

TEST(Traffic, WrongFramesAreCounted) {
  auto sender = MemifClient::detached({});
  auto receiver = MemifClient::detached({});
  ASSERT_TRUE(sender && receiver);
  Mirror headless(sender->view(0), receiver->view(1), 0);  // copies nothing
  Traffic traffic(sender->tx(), receiver->rx(), Frames(spec(Family::ip4)),
                  {.warmup = 0, .seconds = 0.01}, [&] { headless.round(); });
  const TrafficReport report = traffic.run();
  EXPECT_GT(report.checked, 0U);
  EXPECT_EQ(report.bad, report.checked);
}

}  // namespace
}  // namespace weir::bench
