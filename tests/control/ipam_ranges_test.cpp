// host-local's range rules: what is completed and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "control/ipam/ranges.h"

namespace weir::control {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;

const std::vector<IpPrefix> kDefaults{*parse_prefix("10.244.0.0/24"),
                                      *parse_prefix("fd00:10:244::/64")};

std::string shown(const RangeSets& sets) {
  std::string text;
  for (const RangeSet& set : sets) {
    text += "[";
    for (const Range& range : set) {
      text += "(" + to_string(range.first) + "-" + to_string(range.last) + " gw " +
              to_string(range.gateway) + ")";
    }
    text += "]";
  }
  return text;
}

struct Good {
  const char* name;
  const char* ipam;
  const char* sets;
};
class GoodRanges : public testing::TestWithParam<Good> {};

TEST_P(GoodRanges, AreCompleted) {
  const auto sets = parse_ranges(Json::parse(GetParam().ipam), kDefaults);
  ASSERT_TRUE(sets) << sets.error().text;
  EXPECT_EQ(shown(*sets), GetParam().sets);
}

constexpr char kDefaultSets[] =
    "[(10.244.0.1-10.244.0.254 gw 10.244.0.1)]"
    "[(fd00:10:244::1-fd00:10:244:0:ffff:ffff:ffff:ffff gw fd00:10:244::1)]";

const Good kGood[] = {
    {"Null", "null", kDefaultSets},
    {"NoRanges", R"({"type": "weir"})", kDefaultSets},
    {"NullRanges", R"({"ranges": null})", kDefaultSets},
    {"EmptyRanges", R"({"ranges": []})", kDefaultSets},
    {"Simple", R"({"ranges": [[{"subnet": "10.1.2.0/24"}]]})",
     "[(10.1.2.1-10.1.2.254 gw 10.1.2.1)]"},
    {"OldForm",
     R"({"subnet": "10.1.2.0/24", "rangeStart": "10.1.2.9", "rangeEnd": "10.1.2.20", "gateway": "10.1.2.30"})",
     "[(10.1.2.9-10.1.2.20 gw 10.1.2.30)]"},
    {"OldFormFirst", R"({"subnet": "10.1.2.0/24", "ranges": [[{"subnet": "fd00::/64"}]]})",
     "[(10.1.2.1-10.1.2.254 gw 10.1.2.1)][(fd00::1-fd00::ffff:ffff:ffff:ffff gw fd00::1)]"},
    {"AnyCase",
     R"({"Ranges": [[{"SUBNET": "10.1.2.0/24", "rangestart": "10.1.2.5", "GateWay": "10.1.2.7"}]]})",
     "[(10.1.2.5-10.1.2.254 gw 10.1.2.7)]"},
    {"Slash30", R"({"ranges": [[{"subnet": "10.0.0.0/30"}]]})",
     "[(10.0.0.1-10.0.0.2 gw 10.0.0.1)]"},
    {"Slash126", R"({"ranges": [[{"subnet": "fd00::/126"}]]})", "[(fd00::1-fd00::3 gw fd00::1)]"},
    {"EdgesCut",
     R"({"ranges": [[{"subnet": "10.0.0.0/24", "rangeStart": "10.0.0.0", "rangeEnd": "10.0.0.255"}]]})",
     "[(10.0.0.1-10.0.0.254 gw 10.0.0.1)]"},
    {"OneSubnetTwoRanges",
     R"({"ranges": [[{"subnet": "10.0.0.0/24", "rangeEnd": "10.0.0.9"}, {"subnet": "10.0.0.0/24", "rangeStart": "10.0.0.20"}]]})",
     "[(10.0.0.1-10.0.0.9 gw 10.0.0.1)(10.0.0.20-10.0.0.254 gw 10.0.0.1)]"},
    {"WholeIp6", R"({"ranges": [[{"subnet": "8000::/1"}]]})",
     "[(8000::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff gw 8000::1)]"},
};
INSTANTIATE_TEST_SUITE_P(Table, GoodRanges, testing::ValuesIn(kGood),
                         [](const auto& instance) { return std::string(instance.param.name); });

struct Bad {
  const char* name;
  const char* ipam;
  const char* complaint;
};
class BadRanges : public testing::TestWithParam<Bad> {};

TEST_P(BadRanges, AreConfigErrors) {
  const auto sets = parse_ranges(Json::parse(GetParam().ipam), kDefaults);
  ASSERT_FALSE(sets) << shown(*sets);
  EXPECT_EQ(sets.error().code, ErrorCode::config);
  EXPECT_THAT(sets.error().text, HasSubstr(GetParam().complaint));
}

const Bad kBad[] = {
    {"NotAnObject", "[]", "ipam must be an object"},
    {"RangesType", R"({"ranges": {}})", "ipam.ranges must be a list"},
    {"SetType", R"({"ranges": [{}]})", "ipam.ranges[0] must be a list"},
    {"SetEmpty", R"({"ranges": [[]]})", "ipam.ranges[0] must be a list of at least one"},
    {"RangeType", R"({"ranges": [["10.0.0.0/24"]]})", "ipam.ranges[0][0] must be an object"},
    {"NoSubnet", R"({"ranges": [[{}]]})", "has no subnet"},
    {"SubnetType", R"({"ranges": [[{"subnet": 4}]]})", "that is no range"},
    {"SubnetBare", R"({"ranges": [[{"subnet": "10.0.0.0"}]]})", "that is no range"},
    {"SubnetLong", R"({"ranges": [[{"subnet": "10.0.0.0/33"}]]})", "that is no range"},
    {"SubnetGarbage", R"({"ranges": [[{"subnet": "10.0.0.0/2x"}]]})", "that is no range"},
    {"HostBits", R"({"ranges": [[{"subnet": "10.0.0.1/24"}]]})",
     "host bits set in its subnet; write 10.0.0.0/24"},
    {"HostBits6", R"({"ranges": [[{"subnet": "fd00::1/64"}]]})", "write fd00::/64"},
    {"Slash31", R"({"ranges": [[{"subnet": "10.0.0.0/31"}]]})", "too small to allocate from"},
    {"Slash32", R"({"ranges": [[{"subnet": "10.0.0.0/32"}]]})", "too small to allocate from"},
    {"Slash127", R"({"ranges": [[{"subnet": "fd00::/127"}]]})", "too small to allocate from"},
    {"StartOutside", R"({"ranges": [[{"subnet": "10.0.0.0/24", "rangeStart": "10.0.1.1"}]]})",
     "rangeStart outside"},
    {"EndOutside", R"({"ranges": [[{"subnet": "10.0.0.0/24", "rangeEnd": "10.0.1.1"}]]})",
     "rangeEnd outside"},
    {"EndBeforeStart",
     R"({"ranges": [[{"subnet": "10.0.0.0/24", "rangeStart": "10.0.0.9", "rangeEnd": "10.0.0.8"}]]})",
     "rangeEnd before its rangeStart"},
    {"StartFamily", R"({"ranges": [[{"subnet": "10.0.0.0/24", "rangeStart": "fd00::1"}]]})",
     "rangeStart that is no address"},
    {"GatewayGarbage", R"({"ranges": [[{"subnet": "10.0.0.0/24", "gateway": "x"}]]})",
     "gateway that is no address"},
    {"MixedFamilies", R"({"ranges": [[{"subnet": "10.0.0.0/24"}, {"subnet": "fd00::/64"}]]})",
     "mixes IPv4 and IPv6"},
    {"OverlapInSet", R"({"ranges": [[{"subnet": "10.0.0.0/24"}, {"subnet": "10.0.0.128/25"}]]})",
     "ipam.ranges[0][1] overlaps with 10.0.0.0/24"},
    {"OverlapOfSets", R"({"ranges": [[{"subnet": "10.0.0.0/24"}], [{"subnet": "10.0.0.0/25"}]]})",
     "set 0 overlaps with set 1"},
    {"OverlapOldForm", R"({"subnet": "10.0.0.0/24", "ranges": [[{"subnet": "10.0.0.0/24"}]]})",
     "set 0 overlaps with set 1"},
    {"TooManySets",
     R"({"ranges": [[{"subnet":"10.0.0.0/24"}],[{"subnet":"10.0.1.0/24"}],[{"subnet":"10.0.2.0/24"}],
        [{"subnet":"10.0.3.0/24"}],[{"subnet":"10.0.4.0/24"}],[{"subnet":"10.0.5.0/24"}],
        [{"subnet":"10.0.6.0/24"}],[{"subnet":"10.0.7.0/24"}],[{"subnet":"10.0.8.0/24"}]]})",
     "more than 8 sets"},
};
INSTANTIATE_TEST_SUITE_P(Table, BadRanges, testing::ValuesIn(kBad),
                         [](const auto& instance) { return std::string(instance.param.name); });

TEST(Ranges, RuntimeRangesComeFirst) {
  const auto sets = parse_ranges(Json::parse(R"({"ranges": [[{"subnet": "10.1.0.0/30"}]]})"),
                                 kDefaults, Json::parse(R"([[{"subnet": "10.2.0.0/30"}]])"));
  ASSERT_TRUE(sets);
  EXPECT_EQ(shown(*sets), "[(10.2.0.1-10.2.0.2 gw 10.2.0.1)][(10.1.0.1-10.1.0.2 gw 10.1.0.1)]");
}

TEST(Ranges, DefaultsAreOneSetForEachFamily) {
  const auto sets = default_ranges(
      {*parse_prefix("10.0.0.0/30"), *parse_prefix("fd00::/126"), *parse_prefix("10.0.1.0/30")});
  EXPECT_EQ(shown(sets),
            "[(10.0.0.1-10.0.0.2 gw 10.0.0.1)(10.0.1.1-10.0.1.2 gw 10.0.1.1)][(fd00::1-fd00::3 gw "
            "fd00::1)]");
}

}  // namespace
}  // namespace weir::control
