// weir.json: what is taken, and the sentence for everything that is not.
#include "config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "config/paths.h"
#include "tests/control/store_scratch.h"

namespace weir::config {
namespace {

using control::ScratchDirectory;
using testing::HasSubstr;

struct Bad {
  const char* name;
  const char* text;
  const char* complaint;  // part of the sentence
};

class BadConfig : public testing::TestWithParam<Bad> {};

TEST_P(BadConfig, IsOneSentenceThatNamesTheKey) {
  const auto config = parse(GetParam().text, "weir.json");
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code, ErrorCode::config);
  EXPECT_THAT(config.error().text, testing::StartsWith("weir.json:"));
  EXPECT_THAT(config.error().text, HasSubstr(GetParam().complaint));
  EXPECT_THAT(config.error().text, testing::Not(HasSubstr("\n")));
}

const Bad kBad[] = {
    {"Empty", "", "1:1: is not valid JSON"},
    {"Null", "null", "must hold one JSON object"},
    {"Array", "[]", "must hold one JSON object"},
    {"Truncated", "{\n  \"network\": {", "2:"},
    {"TrailingComma", "{\n  \"network\": {\"mtu\": 1500,}\n}", "2:27: is not valid JSON"},
    {"TrailingText", "{} x", "1:4"},
    {"InvalidUtf8", "{\"network\": {\"name\": \"\xff\"}}", "is not valid JSON"},
    {"DoubledKey", R"({"network": {"mtu": 1, "mtu": 2}})", "key \"mtu\" is given twice"},
    {"TooDeep", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "nested too deeply"},
    {"UnknownSection", R"({"netwrok": {}})",
     "netwrok is not a known key; did you mean \"network\"?"},
    {"UnknownSectionFar", R"({"zzzzzzzzz": {}})", "use one of: dataplane, control, network"},
    {"ControlCharacterInAKey", R"({"netw\u001b[31m\nork": {}})",
     "netw?[31m?ork is not a known key"},
    {"ControlCharacterOutsideStrings", "{\"network\": \x7f}", "last read: '\"network\": ?'"},
    {"NumberBeyondDouble", R"({"network": {"mtu": 1e999}})",
     "too large, correct it (number overflow parsing '1e999')"},
    {"UnknownKey", R"({"network": {"mtuu": 1}})", "did you mean \"network.mtu\"?"},
    {"UnknownKeyFar", R"({"network": {"zzzzzzzzz": 1}})", "use one of: network.name"},
    {"KeyOfOtherSection", R"({"network": {"workers": [1]}})",
     "did you mean \"dataplane.workers\"?"},
    {"KeyWithoutSection", R"({"mtu": 1500})",
     "mtu is not a known key; did you mean \"network.mtu\"?"},
    {"SectionType", R"({"network": 5})", "network must be an object"},
    {"WorkersType", R"({"dataplane": {"workers": 1}})", "dataplane.workers must be a list"},
    {"WorkersEmpty", R"({"dataplane": {"workers": []}})", "at least one core"},
    {"WorkersNegative", R"({"dataplane": {"workers": [-1]}})",
     "dataplane.workers[0] must be a whole"},
    {"WorkersFraction", R"({"dataplane": {"workers": [0.5]}})",
     "dataplane.workers[0] must be a whole"},
    {"WorkersTwice", R"({"dataplane": {"workers": [0, 0]}})",
     "dataplane.workers[1] names core 0 again"},
    {"WorkersUnusable", R"({"dataplane": {"workers": [1023]}})", "may not use; choose from 0"},
    {"Hugepages", R"({"dataplane": {"hugepages": "yes"}})",
     R"("auto", "required" or "off", but is "yes")"},
    {"MemoryLow", R"({"dataplane": {"memory_mib": 1}})", "from 64 to 1048576, but is 1"},
    {"ConnectionsLow", R"({"dataplane": {"connections": 1000}})", "from 1024 to 16777215, but is 1000"},
    {"ConnectionsHigh", R"({"dataplane": {"connections": 16777216}})", "from 1024"},
    {"MemoryHuge", R"({"dataplane": {"memory_mib": 18446744073709551615}})", "from 64"},
    {"LogLevel", R"({"control": {"log_level": "loud"}})", "control.log_level must be \"trace\""},
    {"EalArgs", R"({"dataplane": {"eal_args": [1]}})", "dataplane.eal_args[0] must be a string"},
    {"EalArgsEmpty", R"({"dataplane": {"eal_args": [""]}})", "dataplane.eal_args[0] is empty"},
    {"MetricsNoPort", R"({"control": {"metrics": "127.0.0.1"}})", "control.metrics must be"},
    {"MetricsPortZero", R"({"control": {"metrics": "127.0.0.1:0"}})", "control.metrics must be"},
    {"MetricsPortBig", R"({"control": {"metrics": "127.0.0.1:70000"}})", "control.metrics must be"},
    {"MetricsName", R"({"control": {"metrics": "localhost:9470"}})", "control.metrics must be"},
    {"MetricsBareIp6", R"({"control": {"metrics": "::1:9470"}})", "control.metrics must be"},
    {"Name", R"({"network": {"name": "../x"}})", "network.name must be a name"},
    {"NameNul", R"({"network": {"name": "a\u0000b"}})", "network.name must be a name"},
    {"CidrsEmpty", R"({"network": {"pod_cidrs": []}})", "at least one range"},
    {"CidrType", R"({"network": {"pod_cidrs": [1]}})", "network.pod_cidrs[0] must be a range"},
    {"CidrBare", R"({"network": {"pod_cidrs": ["10.0.0.0"]}})",
     "network.pod_cidrs[0] must be a range"},
    {"CidrLength", R"({"network": {"pod_cidrs": ["10.0.0.0/33"]}})", "must be a range"},
    {"CidrHostBits", R"({"network": {"pod_cidrs": ["10.244.0.5/24"]}})", "write \"10.244.0.0/24\""},
    {"CidrHostBits6", R"({"network": {"pod_cidrs": ["fd00::1/64"]}})", "write \"fd00::/64\""},
    {"CidrSmall", R"({"network": {"pod_cidrs": ["10.0.0.0/30"]}})", "from /8 to /29"},
    {"CidrSmall6", R"({"network": {"pod_cidrs": ["fd00::/126"]}})", "from /8 to /125"},
    {"CidrAll", R"({"network": {"pod_cidrs": ["0.0.0.0/0"]}})", "from /8 to /29"},
    {"CidrLoopback", R"({"network": {"pod_cidrs": ["127.1.0.0/16"]}})", "which pods cannot have"},
    {"CidrMulticast", R"({"network": {"pod_cidrs": ["ff02::/64"]}})", "which pods cannot have"},
    {"CidrLinkLocal", R"({"network": {"pod_cidrs": ["fe80::/64"]}})", "which pods cannot have"},
    {"CidrTwice", R"({"network": {"pod_cidrs": ["10.0.0.0/24", "10.0.0.0/24"]}})",
     "overlaps 10.0.0.0/24"},
    {"CidrInside", R"({"network": {"pod_cidrs": ["10.0.0.0/8", "10.1.0.0/24"]}})",
     "network.pod_cidrs[1] is 10.1.0.0/24, which overlaps 10.0.0.0/8"},
    {"MtuLow", R"({"network": {"mtu": 67}})", "from 68 to 65535, but is 67"},
    {"MtuHigh", R"({"network": {"mtu": 65536}})", "from 68 to 65535"},
    {"MtuString", R"({"network": {"mtu": "1500"}})", "but is \"1500\""},
    {"MaxPodsZero", R"({"network": {"max_pods": 0}})", "from 1 to 65000, but is 0"},
    {"MtuBelowIp6", R"({"network": {"mtu": 1279}})", "IPv6 needs at least 1280"},
    {"HostInterfaceLong", R"({"network": {"host_interface": "abcdefghijklmnop"}})",
     "interface name"},
    {"HostInterfaceSlash", R"({"network": {"host_interface": "a/b"}})", "interface name"},
    {"HostInterfaceDot", R"({"network": {"host_interface": ".."}})", "interface name"},
    {"NonMasquerade", R"({"network": {"non_masquerade_cidrs": ["10.0.0.1/8"]}})",
     "network.non_masquerade_cidrs[0] must be a range such as \"10.0.0.0/8\""},
    {"NonMasqueradeText", R"({"network": {"non_masquerade_cidrs": "10.0.0.0/8"}})",
     "a list of ranges"},
    {"SocketModeNumber", R"({"network": {"socket_mode": 432}})", "octal string"},
    {"SocketModeDigit", R"({"network": {"socket_mode": "0680"}})", "octal string"},
    {"SocketModeBits", R"({"network": {"socket_mode": "4755"}})", "octal string"},
    {"SocketOwner", R"({"network": {"socket_owner": "no-such-user"}})",
     "network.socket_owner names the user \"no-such-user\", who does not exist"},
    {"SocketGroup", R"({"network": {"socket_group": "no-such-group"}})",
     "does not exist; create it"},
    {"UplinksObject", R"({"network": {"uplinks": {}}})", "network.uplinks must be a list"},
    {"UplinkKey", R"({"network": {"uplinks": [{"nam": "u"}]}})", "network.uplinks[0].nam is not a known key"},
    {"UplinkDevargs", R"({"network": {"uplinks": [{"devargs": ""}]}})", "network.uplinks[0].devargs must be"},
    {"UplinkLength", R"({"network": {"uplinks": [{"addresses": ["192.0.2.1/33"]}]}})",
     "network.uplinks[0].addresses[0] must be at most one IPv4 and one IPv6 address"},
    {"UplinkFamilyTwice", R"({"network": {"uplinks": [{"addresses": ["192.0.2.1/24", "192.0.2.2/24"]}]}})",
     "network.uplinks[0].addresses[1] must be at most one"},
    {"UplinkHalf", R"({"network": {"uplinks": [{"name": "u", "devargs": "d"}]}})",
     "an object with name, devargs and addresses"},
    {"UplinkTwice",
     R"({"network": {"uplinks": [{"name": "u", "devargs": "d", "addresses": ["192.0.2.1/24"]},
                                 {"name": "u", "devargs": "e", "addresses": ["192.0.3.1/24"]}]}})",
     "network.uplinks[1].name is \"u\" again"},
    {"UplinkQueues", R"({"network": {"uplinks": [{"queues": 0}]}})", "from 1 to 64"},
    {"UplinkDefaultRoute", R"({"network": {"uplinks": [{"default_route": 1}]}})", "true or false"},
    {"RouteFamily", R"({"network": {"routes": [{"prefix": "10.0.0.0/8", "via": "fd00::1"}]}})",
     "an object with prefix and via"},
    {"RouteHostBits", R"({"network": {"routes": [{"prefix": "10.0.0.1/8", "via": "10.0.0.2"}]}})",
     "network.routes[0].prefix must be a prefix"},
    {"RouteTwice", R"({"network": {"routes": [{"prefix": "::/0", "via": "fd00::1"}, {"prefix": "::/0", "via": "fd00::2"}]}})",
     "has the prefix ::/0 again"},
    {"KernelProtocol", R"({"network": {"kernel_routes": {"protocols": ["kernel"]}}})",
     "network.kernel_routes.protocols[0] must be babel, bgp, bird"},
    {"KernelTable", R"({"network": {"kernel_routes": {"table": 0}}})", "network.kernel_routes.table must be"},
    {"KernelRoutesKey", R"({"network": {"kernel_routes": {"proto": 1}}})",
     "network.kernel_routes.proto is not a known key; use table and protocols"},
    {"NextHopTwice", R"({"network": {"routes": [{"prefix": "::/0", "via": ["fd00::1", "fd00::1"]}]}})",
     "network.routes[0].via[1] is fd00::1 again"},
    {"NextHopWeight", R"({"network": {"routes": [{"prefix": "::/0", "via": {"address": "fd00::1", "weight": 0}}]}})",
     "network.routes[0].via.weight must be a whole number from 1 to 256"},
    {"NodeName", R"({"node": {"name": "a b"}})", "node.name must be this node's name"},
    {"NodeZone", R"({"node": {"zone": 1}})", "node.zone must be a zone"},
    {"DirectoryRelative", R"({"services": {"directory": "a"}})", "an absolute path"},
    {"RegistrationPort", R"({"services": {"registration": "10.0.0.1"}})", "ADDRESS:PORT"},
    {"ClusterCidr", R"({"services": {"cluster_cidrs": ["10.0.0.1/8"]}})",
     "services.cluster_cidrs[0] must be a range"},
};
INSTANTIATE_TEST_SUITE_P(Table, BadConfig, testing::ValuesIn(kBad),
                         [](const auto& instance) { return std::string(instance.param.name); });

TEST(Config, AnEmptyObjectIsAllDefaults) {
  const auto config = parse("{}", "x");
  ASSERT_TRUE(config);
  EXPECT_EQ(config->dataplane.workers, std::vector<uint32_t>{usable_cores().back()});
  EXPECT_EQ(config->dataplane.hugepages, Hugepages::automatic);
  EXPECT_EQ(config->network.mtu, 1500);
  EXPECT_EQ(config->network.socket_mode, 0660U);
  ASSERT_EQ(config->network.pod_cidrs.size(), 2U);
  EXPECT_EQ(to_string(config->network.pod_cidrs[1]), "fd00:10:244::/64");
}

TEST(Config, EveryKeyIsRead) {
  const auto config = parse(R"({
    "dataplane": {"workers": [1023, 7], "hugepages": "required", "memory_mib": 64, "connections": 4096, "log_level": "off",
                  "eal_args": ["--a", "b"]},
    "control": {"log_level": "trace", "metrics": "[::1]:1"},
    "network": {"name": "n.1", "pod_cidrs": ["10.0.0.0/29", "10.0.0.8/29"], "non_masquerade_cidrs": ["10.0.0.0/8", "::/0"],
                "mtu": 68, "max_pods": 7,
                "host_interface": "w", "socket_mode": "600", "socket_owner": "65534", "socket_group": "0",
                "uplinks": [{"name": "u", "devargs": "net_null0", "addresses": ["2001:db8::1/64", "192.0.2.1/24"],
                             "mtu": 9000, "queues": 2, "default_route": true}],
                "routes": [{"prefix": "10.1.0.0/16", "via": ["192.0.2.2", {"address": "192.0.2.3", "weight": 3}]}],
                "kernel_routes": {"table": 7, "protocols": ["bird", 99]}},
    "node": {"name": "n1", "zone": "z1"},
    "services": {"directory": "/d", "registration": "[::1]:2", "cluster_cidrs": ["10.0.0.0/8"]}})",
                            "x", {.check_cores = false});
  ASSERT_TRUE(config) << config.error().text;
  EXPECT_EQ(config->dataplane.workers, (std::vector<uint32_t>{1023, 7}));
  EXPECT_EQ(config->dataplane.hugepages, Hugepages::required);
  EXPECT_EQ(config->dataplane.memory_mib, 64U);
  EXPECT_EQ(config->dataplane.connections, 4096U);
  EXPECT_EQ(config->dataplane.log_level, "off");
  EXPECT_EQ(config->dataplane.eal_args, (std::vector<std::string>{"--a", "b"}));
  EXPECT_EQ(config->control.log_level, "trace");
  EXPECT_EQ(config->control.metrics, "[::1]:1");
  EXPECT_EQ(config->network.name, "n.1");
  EXPECT_EQ(config->network.pod_cidrs.size(), 2U);
  ASSERT_EQ(config->network.non_masquerade_cidrs.size(), 2U);
  EXPECT_EQ(to_string(config->network.non_masquerade_cidrs[0]), "10.0.0.0/8");
  EXPECT_EQ(config->network.mtu, 68);
  EXPECT_EQ(config->network.max_pods, 7U);
  EXPECT_EQ(config->network.host_interface, "w");
  EXPECT_EQ(config->network.socket_mode, 0600U);
  EXPECT_EQ(config->network.socket_uid, 65534U);
  EXPECT_EQ(config->network.socket_gid, 0U);
  ASSERT_EQ(config->network.uplinks.size(), 1U);
  const UplinkConfig& uplink = config->network.uplinks[0];
  EXPECT_EQ(uplink.name, "u");
  EXPECT_EQ(uplink.devargs, "net_null0");
  ASSERT_EQ(uplink.addresses.size(), 2U);
  EXPECT_EQ(to_string(uplink.addresses[1].address), "192.0.2.1");
  EXPECT_EQ(uplink.addresses[1].length, 24);
  EXPECT_EQ(uplink.mtu, 9000);
  EXPECT_EQ(uplink.queues, 2);
  EXPECT_TRUE(uplink.default_route);
  ASSERT_EQ(config->network.routes.size(), 1U);
  EXPECT_EQ(to_string(config->network.routes[0].prefix), "10.1.0.0/16");
  ASSERT_EQ(config->network.routes[0].via.size(), 2U);
  EXPECT_EQ(to_string(config->network.routes[0].via[0].address), "192.0.2.2");
  EXPECT_EQ(config->network.routes[0].via[0].weight, 1);
  EXPECT_EQ(config->network.routes[0].via[1].weight, 3);
  EXPECT_EQ(config->network.kernel_routes.table, 7U);
  EXPECT_EQ(config->network.kernel_routes.protocols, (std::vector<uint8_t>{12, 99}));
  EXPECT_EQ(config->node.name, "n1");
  EXPECT_EQ(config->node.zone, "z1");
  EXPECT_EQ(config->services.directory, "/d");
  EXPECT_EQ(config->services.registration, "[::1]:2");
  ASSERT_EQ(config->services.cluster_cidrs.size(), 1U);
  EXPECT_EQ(to_string(config->services.cluster_cidrs[0]), "10.0.0.0/8");
}

TEST(Config, TheNodeIsCalledAsTheHost) {
  std::array<char, 256> host{};
  ASSERT_EQ(gethostname(host.data(), host.size()), 0);
  const auto config = parse(R"({"node": {"name": "", "zone": ""}})", "x");
  ASSERT_TRUE(config);
  EXPECT_EQ(config->node.name, host.data());
}

TEST(Config, MetricsMayBeOff) {
  const auto config = parse(R"({"control": {"metrics": ""}})", "x");
  ASSERT_TRUE(config);
  EXPECT_EQ(config->control.metrics, "");
}

TEST(ConfigFile, AFileThatWasNamedMustExist) {
  const ScratchDirectory scratch;
  const auto config = load(scratch.file("weir.json"));
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code, ErrorCode::config);
  EXPECT_THAT(config.error().text,
              HasSubstr("does not exist; name an existing file with --config"));
}

TEST(ConfigFile, TheDefaultFileMayBeMissing) {
  if (std::filesystem::exists(kDefaultConfigPath)) {
    GTEST_SKIP() << "this machine has " << kDefaultConfigPath;
  }
  EXPECT_TRUE(load(""));
}

TEST(ConfigFile, IsReadAndNamedInErrors) {
  const ScratchDirectory scratch;
  EXPECT_TRUE(load(scratch.write("good.json", R"({"network": {"mtu": 9000}})")));
  const auto bad = load(scratch.write("bad.json", "{\n\n  oops}"));
  ASSERT_FALSE(bad);
  EXPECT_THAT(bad.error().text, HasSubstr("/bad.json:3:3: is not valid JSON"));
}

TEST(ConfigFile, ADirectoryOrAHugeFileIsRefused) {
  const ScratchDirectory scratch;
  const auto directory = load(scratch.path());
  ASSERT_FALSE(directory);
  EXPECT_THAT(directory.error().text, HasSubstr("is not a regular file"));
  const auto huge = load(scratch.write("huge.json", std::string((1 << 20) + 1, ' ')));
  ASSERT_FALSE(huge);
  EXPECT_THAT(huge.error().text, HasSubstr("larger than 1 MiB"));
  const auto below_file = load(scratch.write("file", "{}") + "/weir.json");
  ASSERT_FALSE(below_file);
  EXPECT_EQ(below_file.error().code, ErrorCode::config);
}

TEST(ConfigFile, TheExampleLoadsAndHoldsTheDefaults) {
  const auto example = load(WEIR_SOURCE_DIR "/config/weir.json", {.check_cores = false});
  ASSERT_TRUE(example) << example.error().text;
  const auto defaults = parse("{}", "x");
  ASSERT_TRUE(defaults);
  EXPECT_EQ(example->dataplane.memory_mib, defaults->dataplane.memory_mib);
  EXPECT_EQ(example->dataplane.connections, defaults->dataplane.connections);
  EXPECT_EQ(example->control.metrics, defaults->control.metrics);
  EXPECT_EQ(example->network.pod_cidrs, defaults->network.pod_cidrs);
  EXPECT_EQ(example->network.socket_mode, defaults->network.socket_mode);
}

std::set<std::string> leaves(const nlohmann::json& object, bool schema) {
  std::set<std::string> names;
  const auto& sections = schema ? object.at("properties") : object;
  for (const auto& [section, content] : sections.items()) {
    const auto& keys = schema ? content.at("properties") : content;
    for (const auto& [key, value] : keys.items()) names.insert(section + "." + key);
  }
  return names;
}

TEST(ConfigFile, SchemaExampleAndLoaderKnowTheSameKeys) {
  std::ifstream schema(WEIR_SOURCE_DIR "/config/weir.schema.json");
  std::ifstream example(WEIR_SOURCE_DIR "/config/weir.json");
  const auto keys = known_keys();
  const std::set<std::string> known(keys.begin(), keys.end());
  EXPECT_EQ(leaves(nlohmann::json::parse(schema), true), known);
  EXPECT_EQ(leaves(nlohmann::json::parse(example), false), known);
}

TEST(Paths, FollowTheEnvironment) {
  unsetenv(kRunDirVariable);
  unsetenv(kStateDirVariable);
  EXPECT_EQ(run_dir(), "/run/weir");
  EXPECT_EQ(state_dir(), "/var/lib/weir");
  EXPECT_EQ(dataplane_socket(), "/run/weir/dataplane.sock");
  setenv(kRunDirVariable, "/tmp/a/../b//", 1);
  setenv(kStateDirVariable, "", 1);
  EXPECT_EQ(cni_socket(), "/tmp/b/cni.sock");
  EXPECT_EQ(pods_dir(), "/tmp/b/pods");
  EXPECT_EQ(state_dir(), "/var/lib/weir");
  setenv(kRunDirVariable, "relative", 1);
  EXPECT_EQ(run_dir(), std::filesystem::current_path().string() + "/relative");
  unsetenv(kRunDirVariable);
  unsetenv(kStateDirVariable);
}

}  // namespace
}  // namespace weir::config
