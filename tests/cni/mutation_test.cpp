// Damaged documents never crash the parsers, and what is accepted can be rendered.
// Seeded, so that a failure repeats; meant to run under AddressSanitizer too.
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "cni/network_config.h"
#include "cni/request.h"

namespace weir::cni {
namespace {

constexpr unsigned kSeed = 20240229;
constexpr int kRounds = 20'000;

constexpr std::string_view kSeeds[] = {
    R"({"cniVersion":"1.1.0","name":"weir","type":"weir-cni","port":"memif","mtu":1500,
        "ipam":{"type":"weir","ranges":[[{"subnet":"10.0.0.0/24"}]]},
        "runtimeConfig":{"portMappings":[{"HostPort":8080,"ContainerPort":80,"Protocol":"tcp"}],
          "bandwidth":{"ingressRate":1,"ingressBurst":2},"ips":["10.0.0.5/24"],
          "mac":"02:00:00:00:00:01","io.kubernetes.cri.pod-annotations":{"a":"b"}},
        "args":{"cni":{"ips":["10.0.0.6"]}},"cni.dev/valid-attachments":
          [{"containerID":"a","ifname":"eth0"}]})",
    R"({"cniVersion":"0.4.0","name":"weir","prevResult":{"interfaces":[{"name":"eth0",
        "mac":"02:00:00:00:00:01","sandbox":"/x"}],"ips":[{"version":"4","interface":0,
        "address":"10.0.0.5/24","gateway":"10.0.0.1"}],"routes":[{"dst":"0.0.0.0/0"}],
        "dns":{"nameservers":["1.1.1.1"]}}})",
    R"({"cniVersion":"0.2.0","name":"weir","prevResult":{"ip4":{"ip":"10.0.0.5/24",
        "routes":[{"dst":"0.0.0.0/0","gw":"10.0.0.1"}]},"ip6":{"ip":"fd00::1/64"}}})",
};

constexpr std::string_view kFragments[] = {"{",
                                           "}",
                                           "[",
                                           "]",
                                           "\"",
                                           ":",
                                           ",",
                                           "null",
                                           "-1",
                                           "1e999",
                                           "\\u0000",
                                           "\\ud800",
                                           "\xff",
                                           "4294967296",
                                           "18446744073709551616",
                                           "\"prevResult\":",
                                           "\"NAME\":",
                                           "/129",
                                           "::",
                                           "true"};

class Mutator {
 public:
  explicit Mutator(unsigned seed) : random_(seed) {}

  std::string mutate(std::string text) {
    for (size_t count = 1 + pick(4); count > 0; --count) change(text);
    return text;
  }

 private:
  size_t pick(size_t bound) { return std::uniform_int_distribution<size_t>(0, bound - 1)(random_); }

  void change(std::string& text) {
    if (text.empty()) return;
    const size_t at = pick(text.size());
    switch (pick(5)) {
      case 0: text[at] = static_cast<char>(pick(256)); break;
      case 1: text.erase(at, 1 + pick(16)); break;
      case 2: text.insert(at, kFragments[pick(std::size(kFragments))]); break;
      case 3: text.insert(at, text.substr(pick(text.size()), 1 + pick(64))); break;
      default: text.resize(at); break;
    }
  }

  std::mt19937 random_;
};

// Whatever was accepted must be usable.
void use(const NetworkConfig& config) {
  Environment environment;
  (void)requested_mac(config, environment);
  (void)requested_addresses(config, environment);
  EXPECT_TRUE(is_cni_name(config.name));
  if (!config.prev_result) return;
  const Json shape = render(*config.prev_result, config.version);
  EXPECT_TRUE(parse_result(shape)) << shape.dump();
}

TEST(Mutation, ConfigurationsNeverCrashTheParser) {
  Mutator mutator(kSeed);
  constexpr Command kCommands[] = {Command::add, Command::del, Command::check, Command::gc};
  int accepted = 0;
  for (int round = 0; round < kRounds; ++round) {
    const std::string text = mutator.mutate(std::string(kSeeds[round % std::size(kSeeds)]));
    const auto config = parse_network_config(text, kCommands[round % std::size(kCommands)]);
    (void)version_of(text);
    if (!config) {
      EXPECT_FALSE(config.error().msg.empty());
      EXPECT_FALSE(render(config.error(), kNewestVersion).empty());
      continue;
    }
    ++accepted;
    use(*config);
  }
  // Both ways must have been walked, or the mutations are too mild or too wild.
  EXPECT_GT(accepted, kRounds / 100);
  EXPECT_LT(accepted, kRounds);
}

TEST(Mutation, ArgumentsAndRequestsNeverCrashTheParser) {
  Mutator mutator(kSeed + 1);
  for (int round = 0; round < kRounds; ++round) {
    const std::string text = mutator.mutate("IgnoreUnknown=1;IP=10.0.0.5;MAC=02:00:00:00:00:01");
    (void)parse_arguments(text);
    Request request;
    request.environment.container_id = "c";
    request.environment.ifname = "eth0";
    request.environment.netns = "/run/netns/x";
    const Json params = request_params(request);
    const auto document = parse_json(mutator.mutate(params.dump()), Keys::verbatim);
    if (document) (void)parse_request(Command::add, *document);
  }
}

}  // namespace
}  // namespace weir::cni
