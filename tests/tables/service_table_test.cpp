#include "dataplane/tables/service_table.h"

#include "tests/tables/service_fixture.h"

namespace weir::dataplane {
namespace {

class ServiceTableTest : public ServiceFixture {
 protected:
  BackendId pick(const char* text, uint16_t port, uint64_t hash = 0) {
    const FrontendView* view = table_.find(packet_to(text, port));
    return view == nullptr ? kNoBackend : view->inside->pick(hash);
  }
  // The command fails with this code and says what to do in one sentence.
  static void expect_error(const Status& status, ErrorCode code, const char* part) {
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, code) << status.error().text;
    EXPECT_NE(status.error().text.find(part), std::string::npos) << status.error().text;
  }
};

TEST_F(ServiceTableTest, AFrontendIsFoundByAddressPortAndProtocol) {
  set(backend(1, "10.0.0.2", 8080, kOnly));
  set(frontend("10.96.0.1", 80, 1));
  const FrontendView* view = table_.find(packet_to("10.96.0.1", 80));
  ASSERT_NE(view, nullptr);
  EXPECT_EQ(table_.find(packet_to("10.96.0.1", 81)), nullptr);
  EXPECT_EQ(table_.find(packet_to("10.96.0.2", 80)), nullptr);
  EXPECT_EQ(table_.find(packet_to("10.96.0.1", 80, kProtoUdp)), nullptr);
  const BackendId id = view->inside->pick(12345);
  EXPECT_EQ(pool_.address(id).address, address("10.0.0.2").bytes);
  EXPECT_EQ(pool_.address(id).port, __builtin_bswap16(8080));
  EXPECT_TRUE(pool_.alive(id));
}

TEST_F(ServiceTableTest, Ip6AndIp4FrontendsAreApart) {
  set(backend(1, "10.0.0.2", 80, kOnly));
  set(backend(2, "fd00::2", 80, kOnly));
  set(frontend("10.96.0.1", 80, 1));
  set(frontend("a60:1::", 80, 2));  // the same bytes
  EXPECT_EQ(pick("10.96.0.1", 80), backends(1)[0].id);
  EXPECT_EQ(pick("a60:1::", 80), backends(2)[0].id);
}

TEST_F(ServiceTableTest, AListCountsOnceItIsWhole) {
  set(backend(1, "10.0.0.2", 80, kOnly));
  set(frontend("10.96.0.1", 80, 1));
  const BackendId before = pick("10.96.0.1", 80);
  set(backend(1, "10.0.0.3", 80, api::kListFirst));
  set(backend(1, "10.0.0.4", 80, 0));
  EXPECT_EQ(pick("10.96.0.1", 80), before);
  EXPECT_TRUE(pool_.alive(before));
  set(backend(1, "10.0.0.5", 80, api::kListLast));
  EXPECT_FALSE(pool_.alive(before));
  EXPECT_EQ(backends(1).size(), 3U);
  EXPECT_NE(pick("10.96.0.1", 80), before);
}

TEST_F(ServiceTableTest, ABackendKeepsItsNumberWhileItStays) {
  set(backend(1, "10.0.0.3", 80, api::kListFirst));
  set(backend(1, "10.0.0.2", 80, api::kListLast));
  const auto before = backends(1);
  api::Backend heavier = backend(1, "10.0.0.2", 80, api::kListFirst);
  heavier.weight = 7;
  set(heavier);
  set(backend(1, "10.0.0.9", 80, api::kListLast));
  const auto after = backends(1);
  EXPECT_EQ(after[0].id, before[0].id);
  EXPECT_EQ(after[0].config.weight, 7U);
  EXPECT_NE(after[1].id, before[1].id);
  EXPECT_FALSE(pool_.alive(before[1].id));
}

TEST_F(ServiceTableTest, AnEmptyGroupPicksNobody) {
  set(backend(1, "10.0.0.2", 80, kOnly));
  set(frontend("10.96.0.1", 80, 1));
  const BackendId gone = pick("10.96.0.1", 80);
  set({.group = 1, .flags = kOnly | api::kListEmpty});
  EXPECT_EQ(pick("10.96.0.1", 80), kNoBackend);
  EXPECT_FALSE(pool_.alive(gone));
  set(backend(1, "10.0.0.2", 80, kOnly));
  EXPECT_NE(pick("10.96.0.1", 80), kNoBackend);
}

TEST_F(ServiceTableTest, AWrongListLeavesTheOldOne) {
  set(backend(1, "10.0.0.2", 80, kOnly));
  const auto wrong = [&](const api::Backend& record, const char* part) {
    expect_error(table_.set_backend(record), ErrorCode::invalid_argument, part);
    EXPECT_EQ(backends(1).size(), 1U);
  };
  wrong(backend(0, "10.0.0.3", 80, kOnly), "not 0");
  wrong(backend(1, "10.0.0.3", 0, kOnly), "port from 1");
  wrong(backend(1, "224.0.0.1", 80, kOnly), "unicast");
  wrong({.group = 1, .port = 80, .flags = kOnly}, "unicast");
  wrong(backend(1, "10.0.0.3", 80, kOnly | 64), "flags");
  wrong(backend(1, "10.0.0.3", 80, api::kListFirst | api::kListEmpty), "both flags");
  wrong(backend(1, "10.0.0.3", 80, api::kListLast), "from its start");
  for (const uint16_t weight : {uint16_t{0}, uint16_t{1001}}) {
    api::Backend record = backend(1, "10.0.0.3", 80, kOnly);
    record.weight = weight;
    wrong(record, "1 to 1000");
  }
  set(backend(1, "10.0.0.3", 80, api::kListFirst));
  wrong(backend(1, "fd00::3", 80, api::kListLast), "one group of each");
  wrong(backend(1, "10.0.0.4", 80, api::kListLast), "from its start");
  set(backend(1, "10.0.0.3", 80, api::kListFirst));
  wrong(backend(1, "10.0.0.3", 80, api::kListLast), "twice");
  set(backend(1, "10.0.0.3", 80, api::kListFirst));
  wrong(backend(2, "10.0.0.3", 80, api::kListLast), "from its start");
  EXPECT_EQ(pool_.in_use(), 1U);
}

TEST_F(ServiceTableTest, AListHasALimit) {
  api::Backend record = backend(1, "10.0.0.1", 1, api::kListFirst);
  Status status;
  for (uint32_t i = 1; i <= 10001 && status; ++i) {
    record.port = static_cast<uint16_t>(i);
    status = table_.set_backend(record);
    record.flags = 0;
  }
  expect_error(status, ErrorCode::limit, "10000");
  EXPECT_EQ(backends(1).size(), 0U);
}

TEST_F(ServiceTableTest, WhenNumbersRunOutTheOldListStays) {
  BackendPool small(rcu_, 4);  // three backends
  ServiceTable table(rcu_, small, routes_);
  ASSERT_TRUE(table.set_backend(backend(1, "10.0.0.1", 80, kOnly)));
  ASSERT_TRUE(table.set_backend(backend(2, "10.0.0.1", 80, api::kListFirst)));
  ASSERT_TRUE(table.set_backend(backend(2, "10.0.0.2", 80, 0)));
  expect_error(table.set_backend(backend(2, "10.0.0.3", 80, api::kListLast)), ErrorCode::limit,
               "remove");
  rcu_.reclaim();
  EXPECT_EQ(small.in_use(), 1U) << "those taken for nothing are free again";
}

TEST_F(ServiceTableTest, AWrongFrontendChangesNothing) {
  set(backend(1, "10.0.0.2", 80, kOnly));
  set(backend(6, "fd00::2", 80, kOnly));
  const auto wrong = [&](const std::function<void(api::Frontend&)>& spoil, ErrorCode code,
                         const char* part) {
    api::Frontend record = frontend("10.96.0.1", 80, 1);
    spoil(record);
    expect_error(table_.set_frontend(record), code, part);
    EXPECT_EQ(table_.size(), 0U);
    EXPECT_TRUE(routes_.there.empty());
  };
  constexpr auto kInvalid = ErrorCode::invalid_argument;
  wrong([](auto& f) { f.key.address = {}; }, kInvalid, "unicast");
  wrong([](auto& f) { f.key.address.bytes[9] = 1; }, kInvalid, "unicast");
  wrong([](auto& f) { f.key.address.bytes[0] = 224; }, kInvalid, "unicast");
  wrong([](auto& f) { f.key.port = 0; }, kInvalid, "port from 1");
  wrong([](auto& f) { f.key.protocol = 1; }, kInvalid, "132 (SCTP)");
  wrong([](auto& f) { f.kind = api::FrontendKind::none; }, kInvalid, "kind");
  wrong([](auto& f) { f.kind = static_cast<api::FrontendKind>(7); }, kInvalid, "kind");
  wrong([](auto& f) { f.flags = 8; }, kInvalid, "flags");
  wrong([](auto& f) { f.group_inside = 0; }, kInvalid, "group");
  wrong([](auto& f) { f.group_outside = 0; }, kInvalid, "group");
  wrong([](auto& f) { f.affinity = 1; }, kInvalid, "86400");
  wrong([](auto& f) { f.affinity = 1, f.affinity_seconds = 86401; }, kInvalid, "86400");
  wrong([](auto& f) { f.group_inside = 6; }, kInvalid, "family");
  wrong([](auto& f) { f.group_outside = 9; }, ErrorCode::not_found, "group 9");
  wrong([](auto& f) { f.source_ranges = 9; }, ErrorCode::not_found, "prefix set 9");
  routes_.refuse = true;
  wrong([](auto&) {}, ErrorCode::limit, "no room");
  EXPECT_TRUE(table_.erase_group(1)) << "nobody uses it";
}

TEST_F(ServiceTableTest, AGroupInUseStaysAndKeepsItsFamily) {
  set(backend(1, "10.0.0.2", 80, kOnly));
  set(frontend("10.96.0.1", 80, 1));
  expect_error(table_.erase_group(1), ErrorCode::invalid_argument, "delete them first");
  expect_error(table_.set_backend(backend(1, "fd00::2", 80, kOnly)), ErrorCode::invalid_argument,
               "IPv4");
  ASSERT_TRUE(table_.erase_frontend(frontend("10.96.0.1", 80, 1).key));
  EXPECT_EQ(table_.find(packet_to("10.96.0.1", 80)), nullptr);
  EXPECT_TRUE(table_.erase_group(1));
  EXPECT_TRUE(table_.erase_group(1)) << "unknown is success";
  expect_error(table_.erase_group(0), ErrorCode::invalid_argument, "never 0");
  rcu_.reclaim();
  EXPECT_EQ(pool_.in_use(), 0U);
}

TEST_F(ServiceTableTest, AChangedFrontendTakesItsOldPlace) {
  set(backend(1, "10.0.0.2", 80, kOnly));
  set(backend(2, "10.0.0.3", 80, kOnly));
  set(frontend("10.96.0.1", 80, 1));
  set(frontend("10.96.0.1", 80, 2));
  EXPECT_EQ(table_.size(), 1U);
  EXPECT_EQ(pick("10.96.0.1", 80), backends(2)[0].id);
  EXPECT_TRUE(table_.erase_group(1)) << "no longer used";
  expect_error(table_.erase_group(2), ErrorCode::invalid_argument, "delete them first");
}

TEST_F(ServiceTableTest, AnAddressIsRoutedWhileAFrontendHasIt) {
  set(backend(1, "10.0.0.2", 80, kOnly));
  set(frontend("10.96.0.1", 80, 1));
  set(frontend("10.96.0.1", 443, 1));
  set(frontend("10.96.0.1", 443, 1));
  EXPECT_EQ(routes_.there, std::set<IpAddress>{address("10.96.0.1")});
  ASSERT_TRUE(table_.erase_frontend(frontend("10.96.0.1", 80, 1).key));
  EXPECT_EQ(routes_.there.size(), 1U);
  ASSERT_TRUE(table_.erase_frontend(frontend("10.96.0.1", 443, 1).key));
  EXPECT_TRUE(routes_.there.empty());
  EXPECT_TRUE(table_.erase_frontend(frontend("10.96.0.1", 443, 1).key)) << "unknown is success";
}

TEST_F(ServiceTableTest, SourceRangesAdmitTheirNetworksOnly) {
  set(backend(1, "10.0.0.2", 80, kOnly));
  set(api::PrefixMember{
      .set = 5, .prefix = *parse_prefix("192.0.2.0/24"), .flags = api::kListFirst});
  set(api::PrefixMember{.set = 5, .prefix = *parse_prefix("192.0.2.128/25"), .flags = 0});
  set(api::PrefixMember{
      .set = 5, .prefix = *parse_prefix("198.51.100.7/32"), .flags = api::kListLast});
  api::Frontend record = frontend("10.96.0.1", 80, 1);
  record.source_ranges = 5;
  set(record);
  const FrontendView* view = table_.find(packet_to("10.96.0.1", 80));
  const auto admits = [&](const char* text) { return view->admits(address(text).bytes); };
  EXPECT_TRUE(admits("192.0.2.0"));
  EXPECT_TRUE(admits("192.0.2.255"));
  EXPECT_TRUE(admits("198.51.100.7"));
  EXPECT_FALSE(admits("192.0.1.255"));
  EXPECT_FALSE(admits("192.0.3.0"));
  EXPECT_FALSE(admits("198.51.100.8"));
  expect_error(table_.erase_prefixes(5), ErrorCode::invalid_argument, "delete them first");
  set(api::PrefixMember{.set = 5, .flags = kOnly | api::kListEmpty});
  EXPECT_FALSE(admits("192.0.2.0")) << "an empty set admits nobody";
  expect_error(
      table_.set_prefix(
          {.set = 5, .prefix = {.address = address("10.0.0.1"), .length = 8}, .flags = kOnly}),
      ErrorCode::invalid_argument, "10.0.0.0/8");
}

TEST_F(ServiceTableTest, TheInsideSetBeginsAndEndsEmpty) {
  const auto inside = [&](const char* text) {
    return table_.is_inside(address(text).family, address(text).bytes);
  };
  EXPECT_FALSE(inside("10.1.2.3"));
  set(api::PrefixMember{
      .set = api::kInsideSet, .prefix = *parse_prefix("10.0.0.0/8"), .flags = api::kListFirst});
  set(api::PrefixMember{
      .set = api::kInsideSet, .prefix = *parse_prefix("fd00::/16"), .flags = api::kListLast});
  EXPECT_TRUE(inside("10.1.2.3"));
  EXPECT_TRUE(inside("fd00:1::1"));
  EXPECT_FALSE(inside("fd01::1"));
  EXPECT_FALSE(inside("a01:203::")) << "IPv4 networks hold no IPv6 address";
  ASSERT_TRUE(table_.erase_prefixes(api::kInsideSet));
  EXPECT_FALSE(inside("10.1.2.3"));
}

TEST_F(ServiceTableTest, ASweepLeavesWhatTheReplayNamed) {
  set(backend(1, "10.0.0.2", 80, kOnly));
  set(backend(2, "10.0.0.3", 80, kOnly));
  set(api::PrefixMember{.set = 5, .prefix = *parse_prefix("10.0.0.0/8"), .flags = kOnly});
  set(api::PrefixMember{
      .set = api::kInsideSet, .prefix = *parse_prefix("10.0.0.0/8"), .flags = kOnly});
  set(frontend("10.96.0.1", 80, 1));
  set(frontend("10.96.0.2", 80, 2));
  const BackendId kept = pick("10.96.0.1", 80);
  const FrontendView* view = table_.find(packet_to("10.96.0.1", 80));
  table_.begin_generation(7);
  set(backend(1, "10.0.0.2", 80, kOnly));
  set(frontend("10.96.0.1", 80, 1));
  const auto swept = table_.sweep(7);
  EXPECT_EQ(swept.frontends, 1U);
  EXPECT_EQ(swept.lists, 3U);
  EXPECT_EQ(table_.find(packet_to("10.96.0.1", 80)), view) << "what was right is untouched";
  EXPECT_EQ(pick("10.96.0.1", 80), kept);
  EXPECT_EQ(pick("10.96.0.2", 80), kNoBackend);
  EXPECT_FALSE(table_.is_inside(Family::ip4, address("10.1.1.1").bytes));
  EXPECT_EQ(routes_.there, std::set<IpAddress>{address("10.96.0.1")});
  EXPECT_EQ(table_.sweep(7).lists, 0U);
}

TEST_F(ServiceTableTest, AnAffinityFollowsTheAddressToOtherGroups) {
  set(backend(1, "10.0.0.2", 8080, api::kListFirst));
  set(backend(1, "10.0.0.3", 8080, api::kListLast));
  set(backend(2, "10.0.0.2", 8443, api::kListFirst));
  set(backend(2, "10.0.0.2", 8444, 0));
  set(backend(2, "10.0.0.3", 8443, api::kListLast));
  set(frontend("10.96.0.1", 80, 1));
  set(frontend("10.96.0.1", 443, 2));
  const Balance& other = table_.find(packet_to("10.96.0.1", 443))->inside->balance();
  for (const api::BackendState& state : backends(1)) {
    const BackendId like = other.like(pool_.address(state.id));
    EXPECT_EQ(pool_.address(like).address, state.config.address.bytes);
  }
  for (const api::BackendState& state : backends(2))
    EXPECT_EQ(other.like(pool_.address(state.id)), state.id);
  const BackendAddress stranger{
      .address = address("10.0.0.4").bytes, .port = 1, .family = Family::ip4};
  EXPECT_EQ(other.like(stranger), kNoBackend);
}

TEST_F(ServiceTableTest, SettingsAreCheckedAndHaveDefaults) {
  EXPECT_EQ(table_.settings().masquerade_first_port, 1024U);
  EXPECT_EQ(table_.settings().masquerade_last_port, 65535U);
  ASSERT_TRUE(
      table_.set_settings({.masquerade4 = address("10.0.0.1"), .masquerade_first_port = 2000}));
  EXPECT_EQ(table_.settings().masquerade4, address("10.0.0.1"));
  EXPECT_EQ(table_.settings().masquerade_first_port, 2000U);
  expect_error(table_.set_settings({.masquerade4 = address("fd00::1")}),
               ErrorCode::invalid_argument, "IPv4");
  expect_error(table_.set_settings({.masquerade6 = address("10.0.0.1")}),
               ErrorCode::invalid_argument, "IPv6");
  expect_error(table_.set_settings({.masquerade_first_port = 9, .masquerade_last_port = 8}),
               ErrorCode::invalid_argument, "swap");
  EXPECT_EQ(table_.settings().masquerade_first_port, 2000U);
}

TEST_F(ServiceTableTest, ListsShowWhatWasSet) {
  set(backend(1, "10.0.0.2", 80, kOnly));
  set(backend(2, "10.0.0.3", 80, api::kListFirst));
  set(backend(2, "10.0.0.4", 80, api::kListLast));
  api::Frontend record = frontend("10.96.0.1", 80, 1);
  record.group_outside = 2;
  record.name = {"default/web:http"};
  set(record);
  size_t count = 0;
  table_.for_each_frontend([&](const api::FrontendState& state) {
    ++count;
    EXPECT_EQ(state.backends_inside, 1U);
    EXPECT_EQ(state.backends_outside, 2U);
    EXPECT_STREQ(state.config.name.data(), "default/web:http");
  });
  EXPECT_EQ(count, 1U);
  EXPECT_EQ(backends(0).size(), 3U);
  expect_error(table_.for_each_backend(9, [](const api::BackendState&) {}), ErrorCode::not_found,
               "group 9");
  EXPECT_STREQ(table_.config(*table_.find(packet_to("10.96.0.1", 80)))->name.data(),
               "default/web:http");
}

}  // namespace
}  // namespace weir::dataplane
