#include "cni/environment.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <string>

namespace weir::cni {
namespace {

std::map<std::string, std::string>& variables() {
  static std::map<std::string, std::string> table;
  return table;
}

const char* lookup(const char* name) {
  const auto found = variables().find(name);
  return found == variables().end() ? nullptr : found->second.c_str();
}

struct EnvironmentTest : testing::Test {
  EnvironmentTest() {
    variables() = {{"CNI_COMMAND", "ADD"},
                   {"CNI_CONTAINERID", "c0ffee"},
                   {"CNI_NETNS", "/run/netns/pod"},
                   {"CNI_IFNAME", "eth0"}};
  }

  // 0 = accepted.
  int code() {
    const auto environment = read_environment(lookup);
    return environment ? 0 : static_cast<int>(environment.error().code);
  }
};

TEST_F(EnvironmentTest, ReadsEveryVariable) {
  variables()["CNI_ARGS"] = "IgnoreUnknown=1;IP=10.1.2.3;FOO=bar;K8S_POD_NAME=web";
  variables()["CNI_PATH"] = "/opt/cni/bin";
  variables()["CNI_NETNS_OVERRIDE"] = "TRUE";
  const auto environment = read_environment(lookup);
  ASSERT_TRUE(environment) << environment.error().msg;
  EXPECT_EQ(environment->command, Command::add);
  EXPECT_EQ(environment->container_id, "c0ffee");
  EXPECT_EQ(environment->netns, "/run/netns/pod");
  EXPECT_EQ(environment->ifname, "eth0");
  EXPECT_EQ(environment->path, "/opt/cni/bin");
  EXPECT_TRUE(environment->netns_override);
  EXPECT_EQ(environment->arguments.get("IP"), "10.1.2.3");
  EXPECT_EQ(environment->arguments.get("K8S_POD_NAME"), "web");
  EXPECT_EQ(environment->arguments.get("MAC"), "");
}

TEST_F(EnvironmentTest, NamesAllMissingVariablesAtOnce) {
  variables() = {{"CNI_COMMAND", "ADD"}, {"CNI_IFNAME", ""}};
  const auto environment = read_environment(lookup);
  ASSERT_FALSE(environment);
  EXPECT_EQ(environment.error().code, Code::invalid_environment);
  for (const char* name : {"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"}) {
    EXPECT_NE(environment.error().msg.find(name), std::string::npos) << name;
  }
}

TEST_F(EnvironmentTest, CommandsNeedWhatTheSpecificationSays) {
  variables().erase("CNI_NETNS");
  for (const auto& [command, expected] : std::map<std::string, int>{
           {"ADD", 4}, {"CHECK", 4}, {"DEL", 0}, {"GC", 0}, {"STATUS", 0}, {"VERSION", 0}}) {
    variables()["CNI_COMMAND"] = command;
    EXPECT_EQ(code(), expected) << command;
  }
  variables() = {};
  EXPECT_EQ(code(), 4);
  for (const char* command : {"GC", "STATUS", "VERSION"}) {
    variables() = {{"CNI_COMMAND", command}};
    EXPECT_EQ(code(), 0) << command;
  }
  for (const char* command : {"add", "ADD ", "FOO"}) {
    variables() = {{"CNI_COMMAND", command}};
    EXPECT_EQ(code(), 4) << command;
  }
}

TEST_F(EnvironmentTest, RefusesBadContainerIds) {
  for (const std::string& id :
       {std::string("../../etc/x"), std::string("a/b"), std::string(".a"), std::string("-a"),
        std::string(" a"), std::string("a\n"), std::string("_a"), std::string("a b"),
        std::string(4096, 'a'), std::string(256, 'a'), std::string("\xff")}) {
    variables()["CNI_CONTAINERID"] = id;
    EXPECT_EQ(code(), 4) << id.substr(0, 40);
  }
  for (const std::string& id :
       {std::string("a"), std::string("0"), std::string("A_b.c-9"), std::string(255, 'a')}) {
    variables()["CNI_CONTAINERID"] = id;
    EXPECT_EQ(code(), 0) << id;
  }
}

TEST_F(EnvironmentTest, RefusesBadInterfaceNames) {
  for (const char* name :
       {"0123456789abcdef", ".", "..", "a/b", "a:b", "a b", "a\tb", "eth0\n", "a\vb", "\xc3\x28"}) {
    variables()["CNI_IFNAME"] = name;
    EXPECT_EQ(code(), 4) << name;
  }
  for (const char* name : {"0123456789abcde", "e", "eth0.5", "...", "\xc3\xa9th"}) {
    variables()["CNI_IFNAME"] = name;
    EXPECT_EQ(code(), 0) << name;
  }
}

TEST_F(EnvironmentTest, ChecksArguments) {
  for (const char* args : {"a=b=c", "=x", "x", "IP=1.2.3.4;;MAC=x", "FOO=bar", "FOO=bar;IP=::1",
                           "IgnoreUnknown=0;FOO=bar", ";"}) {
    variables()["CNI_ARGS"] = args;
    EXPECT_EQ(code(), 4) << args;
  }
  for (const char* args : {"", "IP=1.2.3.4", "WEIR_LABELS=app:web", "FOO=bar;IgnoreUnknown=true", "IgnoreUnknown=1",
                           "IP=", "K8S_POD_NAMESPACE=a;K8S_POD_NAME=b", "IP=1.2.3.4;"}) {
    variables()["CNI_ARGS"] = args;
    EXPECT_EQ(code(), 0) << args;
  }
}

TEST_F(EnvironmentTest, ArgumentsNeverFailADelete) {
  variables()["CNI_COMMAND"] = "DEL";
  variables()["CNI_ARGS"] = "a=b=c";
  const auto environment = read_environment(lookup);
  ASSERT_TRUE(environment);
  EXPECT_TRUE(environment->arguments.values.empty());
}

struct NetnsTest : testing::Test {
  NetnsTest() {
    char name[] = "/tmp/weir-netns-test-XXXXXX";
    directory = mkdtemp(name);
    environment.command = Command::add;
    environment.container_id = "c";
    environment.ifname = "eth0";
  }
  ~NetnsTest() override { std::filesystem::remove_all(directory); }

  bool refuses(const std::string& path) {
    environment.netns = path;
    const auto error = check_netns(environment);
    EXPECT_TRUE(!error || error->code == Code::invalid_netns);
    return error.has_value();
  }

  std::filesystem::path directory;
  Environment environment;
};

TEST_F(NetnsTest, RefusesWhatIsNoNamespace) {
  const std::string file = directory / "file";
  const std::string fifo = directory / "fifo";
  const std::string link = directory / "link";
  ASSERT_NE(symlink("/etc/passwd", link.c_str()), -1);
  ASSERT_NE(mkfifo(fifo.c_str(), 0600), -1);
  ASSERT_EQ(mknod(file.c_str(), S_IFREG | 0600, 0), 0);
  for (const std::string& path : {file, fifo, link, directory.string(), file + "/x",
                                  (directory / "missing").string(), std::string(5000, 'x')}) {
    EXPECT_TRUE(refuses(path)) << path.substr(0, 80);
  }
}

TEST_F(NetnsTest, RefusesItsOwnNamespaceUnlessOverridden) {
  const std::string link = directory / "link";
  ASSERT_NE(symlink("/proc/self/ns/net", link.c_str()), -1);
  for (const Command command : {Command::add, Command::check, Command::del}) {
    environment.command = command;
    EXPECT_TRUE(refuses("/proc/self/ns/net"));
    EXPECT_TRUE(refuses(link));
  }
  environment.netns_override = true;
  EXPECT_FALSE(refuses("/proc/self/ns/net"));
}

TEST_F(NetnsTest, ADeleteDoesNotNeedTheNamespace) {
  environment.command = Command::del;
  EXPECT_FALSE(refuses(""));
  EXPECT_FALSE(refuses(directory / "missing"));
}

}  // namespace
}  // namespace weir::cni
