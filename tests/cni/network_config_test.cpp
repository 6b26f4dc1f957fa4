#include "cni/network_config.h"

#include <gtest/gtest.h>

#include <string>

namespace weir::cni {
namespace {

// 0 = accepted.
int code_of(std::string_view text, Command command = Command::add) {
  const auto config = parse_network_config(text, command);
  return config ? 0 : static_cast<int>(config.error().code);
}

// A valid configuration with further members.
std::string with(const std::string& members) {
  return R"({"cniVersion":"1.1.0","name":"net","type":"weir-cni")" +
         (members.empty() ? "" : "," + members) + "}";
}

NetworkConfig parsed(const std::string& members) {
  auto config = parse_network_config(with(members), Command::add);
  EXPECT_TRUE(config) << config.error().msg << " in " << members;
  return config ? *std::move(config) : NetworkConfig{};
}

TEST(NetworkConfig, DefaultsAreAKernelPortWithBuiltInAddresses) {
  const NetworkConfig config = parsed("");
  EXPECT_EQ(config.version, Version::v1_1_0);
  EXPECT_EQ(config.name, "net");
  EXPECT_EQ(config.type, "weir-cni");
  EXPECT_EQ(config.port, PortKind::kernel);
  EXPECT_FALSE(config.mtu);
  EXPECT_FALSE(delegates_ipam(config));
  EXPECT_FALSE(config.prev_result);
  EXPECT_FALSE(config.valid_attachments);
}

TEST(NetworkConfig, ReadsItsKeys) {
  const NetworkConfig config = parsed(R"(
    "port": "memif", "mtu": 9000, "ipam": {"type": "host-local", "ranges": [[]]},
    "dns": {"nameservers": ["10.0.0.10"], "domain": "cluster.local"},
    "args": {"cni": {"ips": ["10.0.0.7"], "mac": "02:00:00:00:00:01", "other": 1}},
    "unknown": {"deep": [1, 2]})");
  EXPECT_EQ(config.port, PortKind::memif);
  EXPECT_EQ(config.mtu, 9000);
  EXPECT_EQ(config.ipam_type, "host-local");
  EXPECT_TRUE(delegates_ipam(config));
  EXPECT_TRUE(config.ipam.contains("ranges"));
  EXPECT_EQ(config.dns.domain, "cluster.local");
  EXPECT_EQ(config.args.ips, std::vector<std::string>{"10.0.0.7"});
  EXPECT_EQ(parsed(R"("port":"vhost-user")").port, PortKind::vhost_user);
}

TEST(NetworkConfig, KeysMatchInAnyCaseAndTheLastDuplicateWins) {
  const auto config = parse_network_config(
      R"({"CNIVERSION":"1.0.0","name":"a","Name":"b","NAME":"c","MTU":1400,"Port":"memif",
          "mtu":1500})",
      Command::add);
  ASSERT_TRUE(config) << config.error().msg;
  EXPECT_EQ(config->version, Version::v1_0_0);
  EXPECT_EQ(config->name, "c");
  EXPECT_EQ(config->mtu, 1500);
  EXPECT_EQ(config->port, PortKind::memif);
  EXPECT_EQ(code_of(R"({"name":"a","name":"../b"})"), 7);
  EXPECT_EQ(code_of(R"({"name":"../b","NAME":"a"})"), 0);
}

TEST(NetworkConfig, ReadsWhatContainerdSendsForPortMappings) {
  const NetworkConfig config = parsed(R"("runtimeConfig": {"portMappings": [
    {"HostPort":8080,"ContainerPort":80,"Protocol":"tcp","HostIP":""},
    {"hostPort":53,"containerPort":5353,"protocol":"UDP","hostIP":"192.0.2.1"}]})");
  ASSERT_EQ(config.runtime.port_mappings.size(), 2u);
  EXPECT_EQ(config.runtime.port_mappings[0].host_port, 8080);
  EXPECT_EQ(config.runtime.port_mappings[0].container_port, 80);
  EXPECT_EQ(config.runtime.port_mappings[0].protocol, "tcp");
  EXPECT_TRUE(config.runtime.port_mappings[0].host_ip.is_none());
  EXPECT_EQ(config.runtime.port_mappings[1].protocol, "udp");
  EXPECT_EQ(to_string(config.runtime.port_mappings[1].host_ip), "192.0.2.1");
}

TEST(NetworkConfig, ReadsTheOtherCapabilities) {
  const NetworkConfig config = parsed(R"("runtimeConfig": {
    "bandwidth": {"ingressRate": 1000000, "ingressBurst": 2147483647, "egressRate": 5},
    "ips": ["10.0.0.9/24"], "ipRanges": [[{"subnet": "10.0.0.0/24"}]],
    "mac": "02:00:00:00:00:02", "deviceID": "d", "CNIDeviceInfoFile": "/run/d.json",
    "dns": {"servers": ["9.9.9.9"], "searches": ["a.b"], "options": ["ndots:5"]},
    "cgroupPath": "/ignored",
    "io.kubernetes.cri.pod-annotations": {"Name": "kept", "mtu": "a", "MTU": "b"}})");
  ASSERT_TRUE(config.runtime.bandwidth);
  EXPECT_EQ(config.runtime.bandwidth->ingress_burst, 2147483647u);
  EXPECT_EQ(config.runtime.bandwidth->egress_burst, 0u);
  EXPECT_EQ(config.runtime.dns.nameservers, std::vector<std::string>{"9.9.9.9"});
  EXPECT_EQ(config.runtime.dns.search, std::vector<std::string>{"a.b"});
  EXPECT_EQ(config.runtime.device_info_file, "/run/d.json");
  EXPECT_EQ(config.runtime.ip_ranges.size(), 1u);
  const std::map<std::string, std::string> annotations{
      {"Name", "kept"}, {"mtu", "a"}, {"MTU", "b"}};
  EXPECT_EQ(config.runtime.pod_annotations, annotations);
}

TEST(NetworkConfig, ErrorsComeInTheSpecifiedOrder) {
  EXPECT_EQ(code_of(R"({"cniVersion":"9.9.9","name":"../x","port":5)"), 6);
  EXPECT_EQ(code_of(R"({"cniVersion":"9.9.9","name":"../x","port":"x"})"), 7);
  EXPECT_EQ(code_of(R"({"cniVersion":"9.9.9","name":"x","port":"x"})"), 1);
  EXPECT_EQ(code_of(R"({"cniVersion":"1.0.0","name":"x","port":"x"})"), 7);
  EXPECT_EQ(code_of(R"({"cniVersion":"1.0.0","name":"x"})"), 0);
}

TEST(NetworkConfig, RefusesWhatIsNoDocument) {
  for (const std::string& text :
       {std::string(), std::string(" "), std::string("null"), std::string("[]"), std::string("5"),
        std::string("\"x\""), std::string("{"), std::string("{}x"), std::string("{\"a\":}"),
        with(R"("a":"\xff")"), with("\"a\":\"\xc3\x28\""), with("") + '\0', with("") + '\0' + "x",
        std::string("\0{}", 3), with("\"a\":\"\x01\""), with("\"a\":1e999"), with("") + with("")}) {
    EXPECT_EQ(code_of(text), 6) << text;
  }
}

TEST(NetworkConfig, BoundsSizeAndDepth) {
  const auto nested = [](size_t depth) {
    return with("\"a\":" + std::string(depth, '[') + std::string(depth, ']'));
  };
  EXPECT_EQ(code_of(nested(kMaxDepth - 1)), 0);
  EXPECT_EQ(code_of(nested(kMaxDepth)), 6);
  EXPECT_EQ(code_of(nested(100'000)), 6);
  EXPECT_EQ(code_of(std::string(5'000'000, '[')), 6);
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  EXPECT_EQ(code_of(objects), 6);
  const std::string padding(kMaxDocument - with("").size(), ' ');
  EXPECT_EQ(code_of(with("") + padding), 0);
  EXPECT_EQ(code_of(with("") + padding + " "), 6);
}

TEST(NetworkConfig, ManyKeysAreReadInLinearTime) {
  std::string members = "\"k\":0";
  for (int i = 0; i < 400'000; ++i) members += ",\"k" + std::to_string(i) + "\":0";
  EXPECT_EQ(code_of(with(members)), 0);
}

TEST(NetworkConfig, ChecksNames) {
  for (const char* name : {"../x", "", ".x", "-x", "x y", "x/y", "x\\n", "\\u0000", "x\\u0000"}) {
    EXPECT_EQ(code_of(std::string(R"({"cniVersion":"1.0.0","name":")") + name + "\"}"), 7) << name;
  }
  EXPECT_EQ(code_of(R"({"cniVersion":"1.0.0"})"), 7);
  EXPECT_EQ(code_of(R"({"cniVersion":"1.0.0","name":null})"), 7);
  EXPECT_EQ(code_of(R"({"cniVersion":"1.0.0","name":5})"), 6);
  EXPECT_EQ(code_of(R"({"cniVersion":1,"name":"x"})"), 6);
}

TEST(NetworkConfig, ChecksVersionsPerCommand) {
  const auto code = [](const std::string& version, Command command) {
    return code_of(R"({"name":"x","cniVersion":")" + version + "\"}", command);
  };
  for (const std::string_view version : kSupportedVersions) {
    EXPECT_EQ(code(std::string(version), Command::add), 0) << version;
    EXPECT_EQ(code(std::string(version), Command::del), 0) << version;
    EXPECT_EQ(code(std::string(version), Command::check), version < "0.4.0" ? 1 : 0) << version;
    EXPECT_EQ(code(std::string(version), Command::gc), version < "1.1.0" ? 1 : 0) << version;
    EXPECT_EQ(code(std::string(version), Command::status), version < "1.1.0" ? 1 : 0) << version;
  }
  EXPECT_EQ(code_of(R"({"name":"x"})"), 0);
  for (const char* version : {"9.9.9", "abc", "1.1", "1.0.0 ", "v1.0.0", "0.0.0"}) {
    EXPECT_EQ(code(version, Command::add), 1) << version;
    EXPECT_EQ(code(version, Command::del), 1) << version;
  }
}

struct BadField {
  const char* members;
  int code;
};

// DEL accepts all of these: what an ADD refused must still be removable.
const BadField kBadFields[] = {
    {R"("port":"tap")", 7},
    {R"("port":5)", 6},
    {R"("mtu":"1500")", 6},
    {R"("mtu":1500.5)", 6},
    {R"("mtu":-1)", 7},
    {R"("mtu":67)", 7},
    {R"("mtu":65536)", 7},
    {R"("mtu":18446744073709551615)", 7},
    {R"("ipam":[])", 6},
    {R"("ipam":{"type":"../evil"})", 7},
    {R"("ipam":{"type":"/bin/sh"})", 7},
    {R"("ipam":{"type":".."})", 7},
    {R"("ipam":{"type":"a\u0000b"})", 7},
    {R"("ipam":{"type":7})", 6},
    {R"("dns":{"nameservers":"x"})", 6},
    {R"("dns":{"search":[1]})", 6},
    {R"("args":{"cni":{"ips":"x"}})", 6},
    {R"("runtimeConfig":[])", 6},
    {R"("runtimeConfig":{"portMappings":[{"hostPort":65536,"containerPort":80}]})", 7},
    {R"("runtimeConfig":{"portMappings":[{"hostPort":80}]})", 7},
    {R"("runtimeConfig":{"portMappings":[{"hostPort":8,"containerPort":8,"protocol":"x"}]})", 7},
    {R"("runtimeConfig":{"portMappings":[{"hostPort":8,"containerPort":8,"hostIP":"x"}]})", 7},
    {R"("runtimeConfig":{"portMappings":[7]})", 6},
    {R"("runtimeConfig":{"bandwidth":{"ingressRate":-1}})", 7},
    {R"("runtimeConfig":{"io.kubernetes.cri.pod-annotations":{"a":1}})", 6},
    {R"("prevResult":[])", 6},
    {R"("prevResult":{"ips":[{"address":"10.0.0.1"}]})", 6},
    {R"("prevResult":{"ips":[{"address":"10.0.0.1/24","interface":0}]})", 7},
    {R"("cni.dev/valid-attachments":{})", 6},
    {R"("cni.dev/valid-attachments":[{"containerID":"a"}])", 7},
    {R"("cni.dev/valid-attachments":["a"])", 6},
};

TEST(NetworkConfig, RefusesBadFieldsButNeverForADelete) {
  for (const BadField& bad : kBadFields) {
    EXPECT_EQ(code_of(with(bad.members)), bad.code) << bad.members;
    EXPECT_EQ(code_of(with(bad.members), Command::del), 0) << bad.members;
  }
}

TEST(NetworkConfig, NullIsAbsent) {
  EXPECT_EQ(code_of(with(R"("port":null,"mtu":null,"ipam":null,"dns":null,"args":null,
                           "runtimeConfig":null,"prevResult":null,"type":null)")),
            0);
}

TEST(NetworkConfig, ValidAttachmentsTellAbsentFromNone) {
  const auto attachments = [](const std::string& members) {
    const auto config = parse_network_config(with(members), Command::gc);
    EXPECT_TRUE(config) << config.error().msg;
    return config->valid_attachments;
  };
  EXPECT_FALSE(attachments("").has_value());
  EXPECT_EQ(attachments(R"("cni.dev/valid-attachments":null)")->size(), 0u);
  EXPECT_EQ(attachments(R"("cni.dev/valid-attachments":[])")->size(), 0u);
  EXPECT_EQ(attachments(R"("cni.dev/attachments":null)")->size(), 0u);
  const auto two = attachments(R"("cni.dev/valid-attachments":
    [{"containerID":"a","ifname":"eth0"},{"containerID":"b","ifname":"net1"}],
    "cni.dev/attachments":[])");
  ASSERT_EQ(two->size(), 2u);
  EXPECT_EQ((*two)[1], (AttachmentName{"b", "net1"}));
}

TEST(NetworkConfig, RequestedMacFollowsPrecedence) {
  Environment environment;
  environment.arguments.values["MAC"] = "02:00:00:00:00:0a";
  const auto mac = [&environment](const std::string& members) {
    const auto found = requested_mac(parsed(members), environment);
    return found && *found ? to_string(**found) : std::string("error");
  };
  const std::string args = R"("args":{"cni":{"mac":"02:00:00:00:00:0b"}})";
  EXPECT_EQ(mac(""), "02:00:00:00:00:0a");
  EXPECT_EQ(mac(args), "02:00:00:00:00:0b");
  EXPECT_EQ(mac(args + R"(,"runtimeConfig":{"mac":"02:00:00:00:00:0c"})"), "02:00:00:00:00:0c");
  EXPECT_EQ(mac(R"("runtimeConfig":{"mac":"01:00:00:00:00:0c"})"), "error");
  EXPECT_EQ(mac(R"("runtimeConfig":{"mac":"xx"})"), "error");
}

TEST(NetworkConfig, RequestedAddressesComeFromAllThreePlaces) {
  Environment environment;
  environment.arguments.values["IP"] = "10.0.0.1";
  const auto addresses =
      requested_addresses(parsed(R"("args":{"cni":{"ips":["10.0.0.2/24","10.0.0.1"]}},
                "runtimeConfig":{"ips":["fd00::1/64"]})"),
                          environment);
  ASSERT_TRUE(addresses);
  ASSERT_EQ(addresses->size(), 3u);
  EXPECT_EQ(to_string((*addresses)[0]), "10.0.0.1");
  EXPECT_EQ(to_string((*addresses)[1]), "10.0.0.2");
  EXPECT_EQ(to_string((*addresses)[2]), "fd00::1");
  EXPECT_FALSE(requested_addresses(parsed(R"("runtimeConfig":{"ips":["x"]})"), environment));
}

TEST(NetworkConfig, VersionOfIsABestGuess) {
  EXPECT_EQ(version_of(R"({"cniVersion":"0.4.0","name":5})"), Version::v0_4_0);
  EXPECT_EQ(version_of(R"({"name":"x"})"), Version::v0_1_0);
  for (const char* text : {"", "[]", "{", R"({"cniVersion":"9.9.9"})", R"({"cniVersion":5})"}) {
    EXPECT_EQ(version_of(text), kNewestVersion) << text;
  }
}

}  // namespace
}  // namespace weir::cni
