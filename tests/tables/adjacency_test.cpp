#include "dataplane/tables/adjacency.h"

#include <gtest/gtest.h>

namespace weir::dataplane {
namespace {

TEST(Adjacency, EveryKindSurvivesItsWord) {
  const MacAddress mac{{2, 0x77, 0xff, 0, 1, 0xfe}};
  for (const AdjacencyKind kind :
       {AdjacencyKind::none, AdjacencyKind::port, AdjacencyKind::blackhole,
        AdjacencyKind::unreachable, AdjacencyKind::unresolved, AdjacencyKind::local}) {
    for (const uint16_t port : {uint16_t{0}, uint16_t{1}, uint16_t{kUsablePorts - 1}}) {
      const Adjacency in{.kind = kind, .port = port, .mac = mac};
      const Adjacency out = Adjacency::unpack(in.pack());
      EXPECT_EQ(out.kind, kind);
      EXPECT_EQ(out.port, kind == AdjacencyKind::port ? port : 0);
      EXPECT_EQ(out.mac, mac);
    }
  }
}

TEST(Adjacencies, IndexZeroIsNoRoute) {
  Rcu rcu(1);
  Adjacencies table(rcu, 4);
  EXPECT_EQ(Adjacency::unpack(table.load(0)).kind, AdjacencyKind::none);
  EXPECT_NE(*table.allocate({.kind = AdjacencyKind::local}), 0U);
}

TEST(Adjacencies, AFullTableSaysSoAndRecovers) {
  Rcu rcu(1);
  Adjacencies table(rcu, 3);
  const uint32_t first = *table.allocate({.kind = AdjacencyKind::local});
  ASSERT_TRUE(table.allocate({.kind = AdjacencyKind::local}));
  EXPECT_EQ(table.allocate({.kind = AdjacencyKind::local}).error().code, ErrorCode::limit);
  table.release(first);
  rcu.reclaim();
  EXPECT_EQ(*table.allocate({.kind = AdjacencyKind::local}), first);
}

TEST(Adjacencies, AReleasedIndexWaitsForEveryWorker) {
  Rcu rcu(2);
  Adjacencies table(rcu, 2);
  for (uint32_t worker = 0; worker < 2; ++worker) {
    rcu.register_worker(worker);
    rcu.online(worker);
  }
  const uint32_t index = *table.allocate({.kind = AdjacencyKind::port, .port = 5});
  table.release(index);
  rcu.quiescent(0);
  rcu.reclaim();
  EXPECT_FALSE(table.allocate({}));
  EXPECT_EQ(Adjacency::unpack(table.load(index)).port, 5);  // worker 1 may still use it
  rcu.quiescent(1);
  rcu.reclaim();
  EXPECT_TRUE(table.allocate({}));
  for (uint32_t worker = 0; worker < 2; ++worker) {
    rcu.offline(worker);
    rcu.unregister_worker(worker);
  }
}

TEST(Adjacencies, ThePendingReleaseOutlivesTheTable) {
  Rcu rcu(1);
  {
    Adjacencies table(rcu, 2);
    table.release(*table.allocate({}));
  }
  EXPECT_EQ(rcu.reclaim(), 0U);
}

}  // namespace
}  // namespace weir::dataplane
