// Endpoints that register themselves, and what the node's kernel is told about NodePorts.
#include "control/services/registration.h"

#include <gmock/gmock.h>

#include "control/services/health_check.h"
#include "control/services/node_ports.h"
#include "tests/control/services/service_fixture.h"
#include "tests/control/store_scratch.h"

namespace weir::control {
namespace {

using cni::Json;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kPath[] = "/v1/services/default/web/endpoints/one";
constexpr char kBody[] =
    R"({"address": "10.244.0.5", "ports": {"80-tcp": 8080}, "ttl_seconds": 10})";

class RegistryTest : public testing::Test {
 protected:
  void SetUp() override {
    open();
    catalog_.put(ServiceSource::operator_given,
                 read_objects(R"({"name": "web", "vips": ["10.96.0.1"], "ports": ["80"]})"));
  }

  void open() {
    registry_.reset();
    store_.reset();
    store_ = *Store::open(scratch_.path());
    registry_ = std::make_unique<Registry>(*store_, catalog_, [this] { ++changes_; });
  }
  HttpResponse ask(const char* method, const std::string& path, const std::string& body = "",
                   const char* peer = "10.244.0.5") {
    return registry_->answer({method, path, body, ip(peer)}, now_);
  }
  std::vector<std::string> backends() {
    static_cast<void>(catalog_.take_changes());
    const CompiledService* compiled = catalog_.compiled({"default", "web"});
    return texts(compiled->groups.begin()->second);
  }

  ScratchDirectory scratch_;
  ServiceCatalog catalog_{test_node()};
  std::unique_ptr<Store> store_;
  std::unique_ptr<Registry> registry_;
  Registry::Clock::time_point now_{};
  int changes_ = 0;
};

TEST_F(RegistryTest, AnEndpointStaysAsLongAsItSaysSo) {
  EXPECT_EQ(ask("PUT", kPath, kBody).status, 200U);
  EXPECT_THAT(backends(), ElementsAre("10.244.0.5:8080"));
  now_ += seconds(9);
  EXPECT_EQ(ask("PUT", kPath, kBody).status, 200U);
  EXPECT_EQ(changes_, 1);  // a keepalive changes nothing
  now_ += seconds(9);
  registry_->expire(now_);
  EXPECT_THAT(backends(), ElementsAre("10.244.0.5:8080"));
  now_ += seconds(1);
  registry_->expire(now_);
  EXPECT_THAT(backends(), IsEmpty());
  EXPECT_EQ(changes_, 2);
}

TEST_F(RegistryTest, DeleteRemovesItAndMayBeRepeated) {
  ask("PUT", kPath, kBody);
  EXPECT_EQ(ask("DELETE", kPath).status, 200U);
  EXPECT_THAT(backends(), IsEmpty());
  EXPECT_EQ(ask("DELETE", kPath).status, 200U);
}

TEST_F(RegistryTest, ListsWhoIsThere) {
  ask("PUT", kPath, kBody);
  now_ += seconds(3);
  const Json list = Json::parse(ask("GET", "/v1/services/default/web/endpoints").body)["endpoints"];
  ASSERT_EQ(list.size(), 1U);
  EXPECT_EQ(list[0]["id"], "one");
  EXPECT_EQ(list[0]["address"], "10.244.0.5");
  EXPECT_EQ(list[0]["left_seconds"], 7);
}

TEST_F(RegistryTest, ARestartForgetsNobodyAndGivesTheWholeTimeAgain) {
  ask("PUT", kPath, kBody);
  catalog_.replace(ServiceSource::registration, {});
  open();
  now_ += seconds(100);
  registry_->load(*store_->objects(), now_);
  EXPECT_THAT(backends(), ElementsAre("10.244.0.5:8080"));
  registry_->expire(now_ + seconds(9));
  EXPECT_THAT(backends(), ElementsAre("10.244.0.5:8080"));
  registry_->expire(now_ + seconds(10));
  EXPECT_THAT(backends(), IsEmpty());
  open();
  registry_->load(*store_->objects(), now_);
  EXPECT_THAT(backends(), IsEmpty());
}

TEST_F(RegistryTest, ItTakesANewPortAndWeight) {
  ask("PUT", kPath, kBody);
  ask("PUT", kPath, R"({"address": "10.244.0.5", "ports": {"80-tcp": 9}, "ttl_seconds": 10})");
  EXPECT_THAT(backends(), ElementsAre("10.244.0.5:9"));
}

struct Refusal {
  const char* name;
  const char* method;
  const char* path;
  const char* body;
  const char* peer;
  unsigned status;
  const char* text;
};

class RegistryRefusal : public RegistryTest, public testing::WithParamInterface<Refusal> {};

TEST_P(RegistryRefusal, SaysWhatToDo) {
  const Refusal& row = GetParam();
  ask("PUT", kPath, kBody);
  const HttpResponse answer = ask(row.method, row.path, row.body, row.peer);
  EXPECT_EQ(answer.status, row.status);
  EXPECT_THAT(answer.body, HasSubstr(row.text));
  EXPECT_THAT(backends(), ElementsAre("10.244.0.5:8080"));
}

constexpr char kOther[] = "/v1/services/default/web/endpoints/two";

INSTANTIATE_TEST_SUITE_P(
    Table, RegistryRefusal,
    testing::Values(
        Refusal{"anothers_address", "PUT", kOther, kBody, "10.244.0.6", 403,
                "you are 10.244.0.6 and may not register 10.244.0.5"},
        Refusal{"anothers_id", "PUT", kPath,
                R"({"address": "10.244.0.6", "ports": {"a": 1}, "ttl_seconds": 1})", "10.244.0.6",
                409, "choose another"},
        Refusal{"deleting_anothers", "DELETE", kPath, "", "10.244.0.6", 403, "another address"},
        Refusal{"no_json", "PUT", kOther, "{", "10.244.0.5", 400, "cannot decode JSON"},
        Refusal{"no_ttl", "PUT", kOther, R"({"address": "10.244.0.5", "ports": {"a": 1}})",
                "10.244.0.5", 400, "ttl_seconds is missing"},
        Refusal{"no_ports", "PUT", kOther, R"({"address": "10.244.0.5", "ttl_seconds": 1})",
                "10.244.0.5", 400, "ports is missing"},
        Refusal{"bad_port", "PUT", kOther,
                R"({"address": "10.244.0.5", "ports": {"a": 0}, "ttl_seconds": 1})", "10.244.0.5",
                400, "ports.a is 0; it must be between 1 and 65535"},
        Refusal{"loopback", "PUT", kOther,
                R"({"address": "127.0.0.1", "ports": {"a": 1}, "ttl_seconds": 1})", "127.0.0.1",
                400, "address is '127.0.0.1'"},
        Refusal{"path", "PUT", "/v1/services/default/../web", kBody, "10.244.0.5", 404, "use /v1"},
        Refusal{"method", "POST", kPath, kBody, "10.244.0.5", 405, "use PUT, DELETE"},
        Refusal{"no_id", "PUT", "/v1/services/default/web/endpoints", kBody, "10.244.0.5", 405,
                "need an ID"}),
    [](const auto& row) { return row.param.name; });

TEST(HealthCheck, AnswersAsKubeProxyDoes) {
  ServiceCatalog catalog(test_node());
  const auto put = [&](const char* backend) {
    catalog.put(ServiceSource::operator_given,
                read_objects(std::string(R"({"name": "web", "vips": ["10.96.0.1"], "ports": ["80"],
                    "external_policy": "local", "health_check_port": 32000, "backends": [")") +
                             backend + "\"]}"));
    static_cast<void>(catalog.take_changes());
  };
  put("10.244.0.5");
  HttpResponse answer = health_answer(catalog, {"default", "web"});
  EXPECT_EQ(answer.status, 200U);
  EXPECT_EQ(answer.body, R"({"service":{"namespace":"default","name":"web"},"localEndpoints":1})");
  put("10.244.9.5");
  answer = health_answer(catalog, {"default", "web"});
  EXPECT_EQ(answer.status, 503U);
  EXPECT_THAT(answer.body, HasSubstr(R"("localEndpoints":0)"));
}

TEST(NodePortRulesText, NamesEachProtocolAndFamily) {
  const NodePortRules rules{
      .ports = {{6, 30080, {}}, {6, 30081, {}}, {17, 30053, {}}, {6, 8080, ip("192.0.2.1")}},
      .gateway4 = ip("10.244.0.1"),
      .gateway6 = ip("fd00:10:244::1"),
      .interface = "weir0"};
  const std::string text = to_nft(rules);
  EXPECT_THAT(text, HasSubstr("ip daddr != 127.0.0.0/8 fib daddr type local tcp dport { 30080, "
                              "30081 } dnat ip to 10.244.0.1\n"));
  EXPECT_THAT(text, HasSubstr("udp dport { 30053 } dnat ip6 to fd00:10:244::1\n"));
  EXPECT_THAT(text, HasSubstr("ip daddr 192.0.2.1 fib daddr type local tcp dport { 8080 } dnat ip "
                              "to 10.244.0.1\n"));
  EXPECT_THAT(text, HasSubstr("iifname \"weir0\" return"));
}

NodePortRules masquerade(std::initializer_list<const char*> kept) {
  NodePortRules rules{.interface = "weir0"};
  rules.masquerade.pods = {*parse_prefix("10.244.0.0/24"), *parse_prefix("fd00:10:244::/64")};
  for (const char* prefix : kept) rules.masquerade.kept.push_back(*parse_prefix(prefix));
  return rules;
}

TEST(MasqueradeRules, KeepTheAddressesTowardsTheListAlone) {
  const std::string text = to_nft(masquerade({"10.244.7.0/24", "10.0.0.0/8", "192.0.2.0/24"}));
  EXPECT_THAT(text, HasSubstr("oifname \"weir0\" return\n"
                              "    ip saddr { 10.244.0.0/24 } ip daddr != { 10.0.0.0/8, "
                              "192.0.2.0/24 } masquerade fully-random\n  }\n}\n"));
  EXPECT_EQ(text.find("ip6"), std::string::npos);
  EXPECT_EQ(text.find("prerouting"), std::string::npos);
}

TEST(MasqueradeRules, AFamilyIsLeftAloneWithoutAnEntryOrWithAll) {
  EXPECT_FALSE(masquerade({}).wanted());
  EXPECT_FALSE(masquerade({"0.0.0.0/0", "10.0.0.0/8"}).wanted());
  const std::string text = to_nft(masquerade({"fc00::/7"}));
  EXPECT_THAT(text, HasSubstr("ip6 saddr { fd00:10:244::/64 } ip6 daddr != { fc00::/7 }"));
  EXPECT_EQ(text.find("ip saddr"), std::string::npos);
}

TEST(NodePortRulesText, WithoutPortsTheTableGoes) {
  EXPECT_EQ(to_nft({}), "add table inet weir\ndelete table inet weir\n");
}

}  // namespace
}  // namespace weir::control
