// The built-in IPAM, case by case.
#include "control/ipam/ipam.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/control/ipam_fixture.h"

namespace weir::control {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

RangeSets parsed(const char* ipam) {
  auto sets = parse_ranges(nlohmann::json::parse(ipam), {});
  EXPECT_TRUE(sets) << sets.error().text;
  return sets ? *sets : RangeSets();
}

TEST_F(IpamTest, GivesOneAddressOfEachFamilyAfterTheGateway) {
  const RangeSets sets = ranges_of({"10.0.0.0/24", "fd00::/64"});
  const auto leases = ipam_->allocate(attach("a"), "net", sets);
  ASSERT_TRUE(leases);
  EXPECT_EQ(text_of(*leases), "10.0.0.2 fd00::2");
  EXPECT_EQ((*leases)[0].length, 24);
  EXPECT_EQ(to_string((*leases)[1].gateway), "fd00::1");
  EXPECT_EQ((*leases)[1].position, 1U);
}

TEST_F(IpamTest, GoesRoundFromTheLastReserved) {
  const RangeSets sets = ranges_of({"10.0.0.0/29"});  // .2 to .6
  EXPECT_EQ(add("a", sets), "10.0.0.2");
  EXPECT_EQ(add("b", sets), "10.0.0.3");
  remove("a");
  now_ += 2000;  // its rest is over
  EXPECT_EQ(add("c", sets), "10.0.0.4");
  EXPECT_EQ(add("d", sets), "10.0.0.5");
  EXPECT_EQ(add("e", sets), "10.0.0.6");
  EXPECT_EQ(add("f", sets), "10.0.0.2");
}

TEST_F(IpamTest, RemembersTheLastReservedOverARestart) {
  const RangeSets sets = ranges_of({"10.0.0.0/29"});
  EXPECT_EQ(add("a", sets), "10.0.0.2");
  remove("a");
  reopen();
  EXPECT_EQ(add("b", sets), "10.0.0.3");
}

TEST_F(IpamTest, FreedAddressesRestAndComeBackLongestFreeFirst) {
  const RangeSets sets = ranges_of({"10.0.0.0/29"});
  for (const char* name : {"a", "b", "c", "d"}) add(name, sets);  // .2 to .5
  now_ += 1;
  remove("c");  // .4
  now_ += 1;
  remove("a");  // .2
  EXPECT_EQ(add("e", sets), "10.0.0.6");
  EXPECT_EQ(add("f", sets), "10.0.0.4");
  reopen();
  EXPECT_EQ(add("g", sets), "10.0.0.2");
  EXPECT_THAT(add("h", sets), StartsWith("error limit: no address is left in 10.0.0.0/29; "));
}

TEST_F(IpamTest, ARestEndsAndLeavesNothingInTheStore) {
  const RangeSets sets = ranges_of({"10.0.0.0/24"});
  add("a", sets);
  remove("a");
  ASSERT_EQ(store_->leases()->size(), 1U);
  now_ += 2000;
  add("b", sets);
  EXPECT_EQ(store_->leases()->size(), 1U);
  EXPECT_EQ(ipam_->usage(sets[0])->resting, 0U);
}

TEST_F(IpamTest, AClockSetBackDoesNotMakeARestEndless) {
  const RangeSets sets = ranges_of({"10.0.0.0/24"});
  add("a", sets);
  remove("a");
  now_ -= 500'000;
  reopen();
  now_ += 2000;
  add("b", sets);
  EXPECT_EQ(ipam_->usage(sets[0])->resting, 0U);
}

TEST_F(IpamTest, ExhaustionGivesNothingOfAnySet) {
  const RangeSets sets = ranges_of({"10.0.0.0/24", "fd00::/126"});  // two IPv6 addresses
  add("a", sets);
  add("b", sets);
  EXPECT_FALSE(*ipam_->can_allocate(sets));
  EXPECT_THAT(add("c", sets), HasSubstr("no address is left in fd00::/126"));
  EXPECT_EQ(store_->leases()->size(), 4U);
  EXPECT_EQ(ipam_->usage(sets[0])->taken, 2U);
  remove("b");
  EXPECT_TRUE(*ipam_->can_allocate(sets));
  EXPECT_EQ(add("d", sets), "10.0.0.4 fd00::3");
}

TEST_F(IpamTest, GatewaysAreNeverHandedOut) {
  const RangeSets sets = parsed(R"({"ranges": [[
      {"subnet": "10.0.0.0/24", "rangeStart": "10.0.0.5", "rangeEnd": "10.0.0.7", "gateway": "10.0.0.6"},
      {"subnet": "10.0.0.0/24", "rangeStart": "10.0.0.10", "rangeEnd": "10.0.0.10", "gateway": "10.0.0.10"}]]})");
  EXPECT_EQ(add("a", sets), "10.0.0.5");
  EXPECT_EQ(add("b", sets), "10.0.0.7");
  EXPECT_THAT(add("c", sets), StartsWith("error limit"));
  EXPECT_THAT(add("d", sets, {"10.0.0.6"}), HasSubstr("is the gateway"));
  EXPECT_EQ(ipam_->usage(sets[0])->size, 2U);
}

TEST_F(IpamTest, WalksAllRangesOfASet) {
  const RangeSets sets = ranges_of({"10.0.0.0/30", "10.0.1.0/30", "10.0.2.0/30"});
  EXPECT_EQ(add("a", sets), "10.0.0.2");
  EXPECT_EQ(add("b", sets), "10.0.1.2");
  EXPECT_EQ(add("c", sets), "10.0.2.2");
  EXPECT_THAT(add("d", sets), HasSubstr("10.0.0.0/30, 10.0.1.0/30, 10.0.2.0/30"));
}

TEST_F(IpamTest, RequestedAddresses) {
  const RangeSets sets = ranges_of({"10.0.0.0/24", "fd00::/64"});
  EXPECT_EQ(add("a", sets, {"fd00::9"}), "10.0.0.2 fd00::9");
  EXPECT_EQ(add("b", sets, {"10.0.0.200", "fd00::ffff"}), "10.0.0.200 fd00::ffff");
  EXPECT_EQ(add("c", sets, {"10.0.0.50", "10.0.0.50"}), "10.0.0.50 fd00::1:0");
  EXPECT_THAT(add("d", sets, {"10.0.0.50"}),
              StartsWith("error exists: the requested address 10.0.0.50 is taken"));
  EXPECT_THAT(add("e", sets, {"10.9.0.1"}), StartsWith("error invalid_argument"));
  EXPECT_THAT(add("f", sets, {"10.0.0.0"}), StartsWith("error invalid_argument"));
  EXPECT_THAT(add("g", sets, {"10.0.0.255"}), StartsWith("error invalid_argument"));
  EXPECT_THAT(add("h", sets, {"10.0.0.1"}), HasSubstr("is the gateway"));
  EXPECT_THAT(add("i", sets, {"10.0.0.60", "10.0.0.61"}), HasSubstr("which gives one address"));
  remove("c");
  EXPECT_EQ(add("j", sets, {"10.0.0.50"}), "10.0.0.50 fd00::1:1") << "a request ends a rest";
}

TEST_F(IpamTest, AnAttachmentIsServedOnce) {
  const RangeSets sets = ranges_of({"10.0.0.0/24"});
  const uint64_t id = attach("a");
  EXPECT_EQ(allocate(id, sets), "10.0.0.2");
  EXPECT_THAT(allocate(id, sets), StartsWith("error exists: attachment"));
  EXPECT_THAT(allocate(9999, sets),
              StartsWith("error not_found: attachment 9999 is not in the store"));
  EXPECT_EQ(add("b", sets), "10.0.0.3") << "the failed one took nothing";
}

TEST_F(IpamTest, NetworksShareAddressesButNotCursors) {
  const RangeSets sets = ranges_of({"10.0.0.0/24"});
  EXPECT_EQ(allocate(attach("a"), sets, {}, "one"), "10.0.0.2");
  EXPECT_EQ(allocate(attach("b"), sets, {}, "two"), "10.0.0.3") << "one dataplane routes both";
  EXPECT_EQ(allocate(attach("c"), sets, {}, "one"), "10.0.0.4");
}

TEST_F(IpamTest, ARollbackOfTheCallerUndoesTheAllocation) {
  const RangeSets sets = ranges_of({"10.0.0.0/24"});
  {
    auto transaction = store_->begin();
    ASSERT_TRUE(transaction);
    EXPECT_EQ(add("a", sets), "10.0.0.2");
    EXPECT_EQ(ipam_->usage(sets[0])->taken, 1U);
  }
  EXPECT_EQ(ipam_->usage(sets[0])->taken, 0U);
  EXPECT_EQ(store_->attachments()->size(), 0U);
  EXPECT_EQ(add("b", sets), "10.0.0.2");
}

TEST_F(IpamTest, AFailureInsideTheCallersTransactionKeepsTheRestOfIt) {
  const RangeSets sets = ranges_of({"10.0.0.0/30", "fd00::/64"});
  auto transaction = store_->begin();
  ASSERT_TRUE(transaction);
  EXPECT_EQ(add("a", sets), "10.0.0.2 fd00::2");
  EXPECT_THAT(add("b", sets), StartsWith("error limit"));
  ASSERT_TRUE(transaction->commit());
  reopen();
  EXPECT_EQ(store_->leases()->size(), 2U);
  EXPECT_EQ(store_->attachments()->size(), 2U);
}

TEST_F(IpamTest, ReleaseAndRemoveMayComeAnyNumberOfTimes) {
  const RangeSets sets = ranges_of({"10.0.0.0/24"});
  const uint64_t id = attach("a");
  allocate(id, sets);
  EXPECT_TRUE(ipam_->release(id));
  EXPECT_TRUE(ipam_->release(id));
  EXPECT_TRUE(ipam_->remove(id));
  EXPECT_TRUE(ipam_->remove(id));
  EXPECT_TRUE(ipam_->remove(123456));
  EXPECT_EQ(ipam_->pending_removals(), 0U);
}

TEST_F(IpamTest, TheHostKeepsItsAddresses) {
  const RangeSets sets = ranges_of({"10.0.0.0/24", "fd00::/64"});
  const auto first = ipam_->host_lease("net", "weir0", sets);
  ASSERT_TRUE(first) << first.error().text;
  EXPECT_EQ(text_of(first->leases), "10.0.0.2 fd00::2");
  EXPECT_EQ((*store_->find_attachment(first->attachment))->kind, api::PortKind::host);
  reopen();
  const auto second = ipam_->host_lease("net", "weir0", sets);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->attachment, first->attachment);
  EXPECT_EQ(text_of(second->leases), "10.0.0.2 fd00::2");
  // One family moves: the other stays.
  const auto third = ipam_->host_lease("net", "weir0", ranges_of({"10.9.0.0/24", "fd00::/64"}));
  ASSERT_TRUE(third) << third.error().text;
  EXPECT_EQ(text_of(third->leases), "10.9.0.2 fd00::2");
  const auto fourth = ipam_->host_lease("net", "weir0", ranges_of({"10.9.0.0/24"}));
  ASSERT_TRUE(fourth);
  EXPECT_EQ(text_of(fourth->leases), "10.9.0.2");
}

TEST_F(IpamTest, ClaimsAddressesThatAreInUse) {
  const RangeSets sets = ranges_of({"10.0.0.0/24"});
  const uint64_t a = attach("a");
  const Lease own{.address = *parse_address("10.0.0.2"), .network = "net", .length = 24};
  const Lease foreign{.address = *parse_address("192.168.7.7"),
                      .network = "net",
                      .length = 24,
                      .source = LeaseSource::delegated,
                      .position = 1};
  ASSERT_TRUE(ipam_->claim(a, {own, foreign}));
  EXPECT_TRUE(ipam_->claim(a, {own, foreign})) << "its own again is fine";
  const Status taken = ipam_->claim(
      attach("b"),
      {Lease{.address = *parse_address("10.0.0.9"), .network = "net", .length = 24}, own});
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, ErrorCode::exists);
  EXPECT_EQ(store_->leases()->size(), 2U) << "all or nothing";
  EXPECT_EQ(add("c", sets), "10.0.0.3");
  remove("a");
  const auto left = store_->leases();
  ASSERT_TRUE(left);
  EXPECT_EQ(text_of(*left), "10.0.0.2 10.0.0.3") << "a delegated address does not rest";
}

TEST_F(IpamTest, ListsHolders) {
  const RangeSets sets = ranges_of({"10.0.0.0/24"});
  const auto id = store_->add_attachment({.network = "net",
                                          .container_id = "c1",
                                          .ifname = "eth0",
                                          .pod_name = "web",
                                          .pod_namespace = "shop"});
  ASSERT_TRUE(id);
  allocate(*id, sets);
  now_ += 10;
  add("c2", sets);
  remove("c2");
  const auto holdings = ipam_->list();
  ASSERT_TRUE(holdings);
  ASSERT_EQ(holdings->size(), 2U);
  EXPECT_EQ((*holdings)[0].pod_namespace + "/" + (*holdings)[0].pod_name, "shop/web");
  EXPECT_EQ((*holdings)[0].container_id, "c1");
  EXPECT_EQ((*holdings)[0].lease.reserved_at, 1'000'000);
  EXPECT_EQ((*holdings)[1].lease.attachment, 0U);
  EXPECT_EQ((*holdings)[1].lease.released_at, 1'000'010);
}

TEST_F(IpamTest, ALargeRangeThatIsNearlyFullIsStillQuick) {
  // 65,533 taken in one transaction; the walk round the circle meets them all.
  const RangeSets sets = ranges_of({"10.1.0.0/16"});
  auto transaction = store_->begin();
  ASSERT_TRUE(transaction);
  for (unsigned i = 2; i < 65534; ++i) {
    const Lease lease{.address = ip4_address(0x0a010000 + i), .network = "net", .length = 16};
    static uint64_t id = 0;
    if (i == 2) id = attach("all");
    ASSERT_TRUE(ipam_->claim(id, {lease}));
  }
  EXPECT_EQ(add("last", sets), "10.1.255.254");
  EXPECT_THAT(add("none", sets), StartsWith("error limit"));
  EXPECT_EQ(ipam_->usage(sets[0])->size, 65533U);
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 10000; ++i) EXPECT_FALSE(*ipam_->can_allocate(sets));
  const auto spent = std::chrono::steady_clock::now() - begin;
  // A walk over the addresses would take over 10 s; the bound is loose for busy machines.
  EXPECT_LT(spent, std::chrono::seconds(2));
}

}  // namespace
}  // namespace weir::control
