// The filter beside a model of plain counts, and what it denies.
#include "dataplane/tables/connection_filter.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "tests/tables/connection_fixture.h"

namespace weir::dataplane {
namespace {

FlowKey ip4_key(unsigned number) { return udp_key(kClient, number, kVip, 53); }
FlowKey ip6_key(unsigned number) {
  FlowKey key = ip4_key(number);
  key.family = Family::ip6;
  key.source[15] = static_cast<uint8_t>(number % 7);
  return key;
}

TEST(ConnectionFilter, PassesWhatWasAddedMoreOftenThanRemoved) {
  constexpr unsigned kKeys = 100;
  ConnectionFilter filter(16, -1);  // 64 slots, so that keys meet
  filter.populate();
  std::map<unsigned, unsigned> model;
  std::mt19937 random(1);
  const auto key = [](unsigned number) {
    return number % 2 == 0 ? ip4_key(number) : ip6_key(number);
  };
  for (int step = 0; step < 20000; ++step) {
    const auto number = static_cast<unsigned>(random() % kKeys);
    if (model[number] > 0 && random() % 2 == 0) {
      filter.remove(key(number));
      --model[number];
    } else if (model[number] < 2) {  // 200 in all never make a slot full
      filter.add(key(number));
      ++model[number];
    }
    for (const auto& [each, count] : model) {
      if (count > 0) {
        ASSERT_TRUE(filter.view().may_have(key(each))) << "step " << step;
      }
    }
  }
  for (const auto& [each, count] : model) {
    for (unsigned i = 0; i < count; ++i) filter.remove(key(each));
  }
  for (unsigned number = 0; number < kKeys; ++number)
    EXPECT_FALSE(filter.view().may_have(key(number)));
}

TEST(ConnectionFilter, AFullSlotStaysFull) {
  ConnectionFilter filter(16, -1);
  filter.populate();
  for (int i = 0; i < 300; ++i) filter.add(ip4_key(1));
  for (int i = 0; i < 299; ++i) filter.remove(ip4_key(1));
  EXPECT_TRUE(filter.view().may_have(ip4_key(1)));
}

TEST(ConnectionFilter, DeniesMostOthers) {
  constexpr unsigned kOpen = 10000;
  ConnectionFilter filter(1U << 17, -1);
  filter.populate();
  for (unsigned number = 0; number < kOpen; ++number) {
    filter.add(ip4_key(number));
    filter.add(ip6_key(number));
  }
  unsigned passed = 0;
  for (unsigned number = kOpen; number < 2 * kOpen; ++number) {
    passed += filter.view().may_have(ip4_key(number)) ? 1 : 0;
    passed += filter.view().may_have(ip6_key(number)) ? 1 : 0;
  }
  EXPECT_LT(passed, 2 * kOpen / 20);
}

TEST(ConnectionFilter, KeysOfOneFamilyGiveTheSameNumbersAsAnyKeys) {
  EXPECT_EQ(Ip4FlowKey::of(ip4_key(9)).digest(), ip4_key(9).digest());
  EXPECT_EQ(Ip6FlowKey::of(ip6_key(9)).digest(), ip6_key(9).digest());
  EXPECT_EQ(Ip4FlowKey::of(ip4_key(9)).hash(), ip4_key(9).hash());
  EXPECT_EQ(Ip6FlowKey::of(ip6_key(9)).hash(), ip6_key(9).hash());
}

}  // namespace
}  // namespace weir::dataplane
