#include "dataplane/tables/maglev.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "dataplane/tables/flow_key.h"

namespace weir::dataplane {
namespace {

std::vector<Maglev::Member> members(uint32_t count) {
  std::vector<Maglev::Member> list;
  for (uint32_t i = 1; i <= count; ++i) {
    const FlowKey key{
        .source = ip4_address(0x0a000000 + i).bytes, .source_port = 80, .family = Family::ip4};
    list.push_back({.id = i, .identity = key.hash()});
  }
  return list;
}

std::map<BackendId, double> shares(const Maglev& table) {
  std::map<BackendId, double> result;
  for (const BackendId id : table.entries())
    result[id] += 1.0 / static_cast<double>(table.entries().size());
  return result;
}

// Of entries that had another backend than `gone` before, the part that changed.
double moved(const Maglev& before, const Maglev& after, BackendId gone) {
  double kept = 0;
  double changed = 0;
  for (size_t i = 0; i < before.entries().size(); ++i) {
    if (before.entries()[i] == gone) continue;
    (before.entries()[i] == after.entries()[i] ? kept : changed) += 1;
  }
  return changed / (kept + changed);
}

TEST(MaglevTest, NobodyIsPickedFromNobody) {
  const Maglev table({});
  EXPECT_EQ(table.pick(0), kNoBackend);
  EXPECT_EQ(table.pick(UINT64_MAX), kNoBackend);
}

TEST(MaglevTest, TablesHaveAHundredEntriesABackend) {
  EXPECT_EQ(Maglev::size_for(1), 251U);
  EXPECT_EQ(Maglev::size_for(3), 509U);
  EXPECT_EQ(Maglev::size_for(100), 16381U);
  EXPECT_EQ(Maglev::size_for(10000), 65537U);
}

TEST(MaglevTest, SharesAreEven) {
  for (const uint32_t count : {1U, 2U, 7U, 10U, 100U, 600U}) {
    for (const auto& [id, share] : shares(Maglev(members(count))))
      EXPECT_NEAR(share * count, 1, 0.03) << "backend " << id << " of " << count;
  }
}

TEST(MaglevTest, PicksFollowTheTable) {
  const Maglev table(members(10));
  std::mt19937_64 random(1);
  std::map<BackendId, int> picks;
  for (int i = 0; i < 100000; ++i) ++picks[table.pick(random())];
  EXPECT_EQ(picks.size(), 10U);
  for (const auto& [id, count] : picks) EXPECT_NEAR(count, 10000, 700) << id;
}

TEST(MaglevTest, SharesFollowWeights) {
  auto list = members(10);
  double sum = 0;
  for (size_t i = 0; i < list.size(); ++i)
    sum += list[i].weight = static_cast<uint32_t>(i + 1) * 10;
  const auto result = shares(Maglev(list));
  for (const auto& member : list) EXPECT_NEAR(result.at(member.id) * sum / member.weight, 1, 0.05);
  list[0].weight = 1000;
  list[1].weight = 1;
  list.resize(2);
  EXPECT_NEAR(shares(Maglev(list)).at(2), 0.001, 0.005);
}

TEST(MaglevTest, TheOrderOfTheListDoesNotMatter) {
  auto list = members(50);
  list[3].weight = 5;
  const Maglev table(list);
  std::ranges::reverse(list);
  EXPECT_TRUE(std::ranges::equal(table.entries(), Maglev(list).entries()));
}

TEST(MaglevTest, OneOfAHundredRemovedMovesFewOthers) {
  const auto all = members(100);
  const Maglev before(all);
  double worst = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    auto rest = all;
    rest.erase(rest.begin() + static_cast<ptrdiff_t>(i));
    worst = std::max(worst, moved(before, Maglev(rest), all[i].id));
  }
  RecordProperty("worst_percent", std::to_string(worst * 100));
  EXPECT_LE(worst, 0.02);
}

}  // namespace
}  // namespace weir::dataplane
