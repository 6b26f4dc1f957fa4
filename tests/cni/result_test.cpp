#include "cni/result.h"

#include <gtest/gtest.h>

namespace weir::cni {
namespace {

constexpr Version kVersions[] = {Version::v0_1_0, Version::v0_2_0, Version::v0_3_0, Version::v0_3_1,
                                 Version::v0_4_0, Version::v1_0_0, Version::v1_1_0};

// Everything that any version can express, in both families.
Result full_result() {
  Result result;
  result.interfaces = {
      {"weir0", "02:00:00:00:00:01", "", {}, "", ""},
      {"eth0", "02:00:00:00:00:02", "/run/netns/pod", 1500, "/run/pod.sock", "0000:00:01.0"}};
  result.ips = {{*parse_address("10.1.0.5"), 32, *parse_address("10.1.0.1"), 1},
                {*parse_address("fd00::5"), 128, *parse_address("fd00::1"), 1},
                {*parse_address("10.1.0.6"), 24, {}, {}}};
  result.routes = {{*parse_prefix("0.0.0.0/0"), *parse_address("10.1.0.1"), 1400, 1360, 5, 254, 0},
                   {*parse_prefix("::/0"), *parse_address("fd00::1"), {}, {}, {}, {}, {}},
                   {*parse_prefix("192.0.2.1/32"), {}, {}, {}, {}, {}, {}}};
  result.dns = {{"10.0.0.10"}, "cluster.local", {"svc.cluster.local"}, {"ndots:5"}};
  return result;
}

constexpr char kOldShape[] = R"({"cniVersion": "0.2.0",
  "ip4": {"ip": "10.1.0.5/32", "gateway": "10.1.0.1",
          "routes": [{"dst": "0.0.0.0/0", "gw": "10.1.0.1"}, {"dst": "192.0.2.1/32"}]},
  "ip6": {"ip": "fd00::5/128", "gateway": "fd00::1",
          "routes": [{"dst": "::/0", "gw": "fd00::1"}]},
  "dns": {"nameservers": ["10.0.0.10"], "domain": "cluster.local",
          "search": ["svc.cluster.local"], "options": ["ndots:5"]}})";

constexpr char kMiddleShape[] = R"({"cniVersion": "0.3.0",
  "interfaces": [{"name": "weir0", "mac": "02:00:00:00:00:01"},
                 {"name": "eth0", "mac": "02:00:00:00:00:02", "sandbox": "/run/netns/pod"}],
  "ips": [{"version": "4", "address": "10.1.0.5/32", "gateway": "10.1.0.1", "interface": 1},
          {"version": "6", "address": "fd00::5/128", "gateway": "fd00::1", "interface": 1},
          {"version": "4", "address": "10.1.0.6/24"}],
  "routes": [{"dst": "0.0.0.0/0", "gw": "10.1.0.1"}, {"dst": "::/0", "gw": "fd00::1"},
             {"dst": "192.0.2.1/32"}],
  "dns": {"nameservers": ["10.0.0.10"], "domain": "cluster.local",
          "search": ["svc.cluster.local"], "options": ["ndots:5"]}})";

// The shape in which `version` differs from the next older one, by hand.
Json expected_shape(Version version) {
  if (version <= Version::v0_2_0) {
    Json shape = Json::parse(kOldShape);
    shape["cniVersion"] = to_string(version);
    return shape;
  }
  Json shape = Json::parse(kMiddleShape);
  shape["cniVersion"] = to_string(version);
  if (version >= Version::v1_0_0) {
    for (Json& ip : shape["ips"]) ip.erase("version");
  }
  if (version >= Version::v1_1_0) {
    shape["interfaces"][1]["mtu"] = 1500;
    shape["interfaces"][1]["socketPath"] = "/run/pod.sock";
    shape["interfaces"][1]["pciID"] = "0000:00:01.0";
    shape["routes"][0].update(
        {{"mtu", 1400}, {"advmss", 1360}, {"priority", 5}, {"table", 254}, {"scope", 0}});
  }
  return shape;
}

TEST(CniResult, HasTheExactShapeOfEachVersion) {
  for (const Version version : kVersions) {
    EXPECT_EQ(render(full_result(), version).dump(2), expected_shape(version).dump(2))
        << to_string(version);
  }
}

TEST(CniResult, OmitsWhatIsEmpty) {
  for (const Version version : kVersions) {
    const Json expected{{"cniVersion", to_string(version)}};
    EXPECT_EQ(render(Result{}, version), expected);
  }
  Result result;
  result.ips = {{*parse_address("10.0.0.2"), 24, {}, 7}};
  EXPECT_EQ(render(result, Version::v1_0_0)["ips"][0].dump(), R"({"address":"10.0.0.2/24"})");
  EXPECT_EQ(render(result, Version::v0_1_0)["ip4"].dump(), R"({"ip":"10.0.0.2/24"})");
}

TEST(CniResult, EveryVersionReadsBackWhatItCanExpress) {
  for (const Version version : kVersions) {
    const Json shape = render(full_result(), version);
    const auto result = parse_result(shape);
    ASSERT_TRUE(result) << result.error().msg;
    EXPECT_EQ(render(*result, version).dump(2), shape.dump(2));
  }
}

TEST(CniResult, NewestVersionLosesNothing) {
  const auto result = parse_result(render(full_result(), Version::v1_1_0));
  ASSERT_TRUE(result);
  for (const Version version : kVersions) {
    EXPECT_EQ(render(*result, version), render(full_result(), version)) << to_string(version);
  }
}

TEST(CniResult, OldShapesBecomeNewOnes) {
  const auto result = parse_result(Json::parse(kOldShape));
  ASSERT_TRUE(result) << result.error().msg;
  const Json shape = render(*result, Version::v1_0_0);
  EXPECT_FALSE(shape.contains("interfaces"));
  EXPECT_EQ(shape["ips"].dump(), R"([{"address":"10.1.0.5/32","gateway":"10.1.0.1"},)"
                                 R"({"address":"fd00::5/128","gateway":"fd00::1"}])");
  EXPECT_EQ(shape["routes"].size(), 3u);
}

TEST(CniResult, AddressesKeepTheirHostBits) {
  const auto result = parse_result(Json::parse(R"({"ips":[{"address":"10.0.0.5/24"}]})"));
  ASSERT_TRUE(result);
  EXPECT_EQ(render(*result, Version::v1_0_0)["ips"][0]["address"], "10.0.0.5/24");
}

TEST(CniResult, RefusesBadResults) {
  const struct {
    const char* text;
    int code;
  } cases[] = {
      {"[]", 6},
      {R"({"ips":{}})", 6},
      {R"({"ips":[{}]})", 6},
      {R"({"ips":[{"address":"10.0.0.5"}]})", 6},
      {R"({"ips":[{"address":"10.0.0.5/33"}]})", 6},
      {R"({"ips":[{"address":"10.0.0.5/-1"}]})", 6},
      {R"({"ips":[{"address":"10.0.0.5/24 "}]})", 6},
      {R"({"ips":[{"address":"fd00::/129"}]})", 6},
      {R"({"ips":[{"address":"10.0.0.5/24","gateway":"x"}]})", 6},
      {R"({"ips":[{"address":"10.0.0.5/24","interface":0}]})", 7},
      {R"({"ips":[{"address":"10.0.0.5/24","interface":-1}],"interfaces":[{"name":"a"}]})", 7},
      {R"({"ips":[{"address":"10.0.0.5/24","interface":"0"}]})", 6},
      {R"({"routes":[{"dst":"10.0.0.0"}]})", 6},
      {R"({"routes":[{"dst":"10.0.0.0/8","gw":7}]})", 6},
      {R"({"interfaces":[{"name":5}]})", 6},
      {R"({"interfaces":["eth0"]})", 6},
      {R"({"ip4":{"ip":"x"}})", 6},
      {R"({"ip4":[]})", 6},
      {R"({"dns":[]})", 6},
  };
  for (const auto& bad : cases) {
    const auto result = parse_result(Json::parse(bad.text));
    EXPECT_EQ(result ? 0 : static_cast<int>(result.error().code), bad.code) << bad.text;
  }
}

TEST(CniError, HasTheSpecifiedShape) {
  EXPECT_EQ(render(Error{Code::try_later, "later", "why"}, Version::v1_0_0),
            R"({"cniVersion":"1.0.0","code":11,"details":"why","msg":"later"})");
  EXPECT_EQ(render(Error{Code::decoding_failure, "bad", ""}, Version::v0_1_0),
            R"({"cniVersion":"0.1.0","code":6,"msg":"bad"})");
  EXPECT_NO_THROW((void)render(Error{Code::internal, "\xff\xfe", "\xc3\x28"}, kNewestVersion));
}

}  // namespace
}  // namespace weir::cni
