// Daemons that are not there, silent, or send garbage: one clear sentence, no crash.
#include <gtest/gtest.h>

#include "tests/control/ctl/records.h"
#include "tests/control/ctl/run.h"
#include "tests/control/fake_control.h"
#include "tests/control/fake_dataplane.h"

namespace weir::test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

// Fails with `code`, one line on stderr and nothing on stdout.
void expect_failure(const Ran& ran, const std::string& code, const std::string& part = "") {
  EXPECT_EQ(ran.exit, 1);
  EXPECT_EQ(ran.out, "");
  EXPECT_EQ(std::ranges::count(ran.err, '\n'), 1) << ran.err;
  const ctl::Json error = ran.error();
  ASSERT_TRUE(error.is_object()) << ran.err;
  EXPECT_EQ(error["error"]["code"], code) << ran.err;
  EXPECT_NE(error["error"]["text"].get<std::string>().find(part), std::string::npos) << ran.err;
}

struct UsageCase {
  const char* name;
  std::vector<std::string> arguments;
};
std::vector<std::string> to(const std::string& target) {
  return {"trace", "route", "--from", "7", "--to", target};
}
class CtlUsage : public testing::TestWithParam<UsageCase> {};

TEST_P(CtlUsage, ExitsWithTwoAndSaysWhy) {
  auto arguments = GetParam().arguments;
  const Ran text = run_ctl("/nonexistent", arguments);
  EXPECT_EQ(text.exit, 2);
  EXPECT_EQ(text.out, "");
  EXPECT_TRUE(text.err.starts_with("weirctl: ")) << text.err;
  arguments.emplace_back("--json");
  const Ran machine = run_ctl("/nonexistent", arguments);
  EXPECT_EQ(machine.exit, 2);
  EXPECT_EQ(machine.error()["error"]["code"], "usage");
}

INSTANTIATE_TEST_SUITE_P(
    Lines, CtlUsage,
    testing::Values(UsageCase{"nothing", {}}, UsageCase{"no_verb", {"port"}},
                    UsageCase{"unknown", {"frobnicate"}}, UsageCase{"unknown_verb", {"port", "x"}},
                    UsageCase{"unknown_option", {"port", "list", "--x"}},
                    UsageCase{"no_port", {"port", "show"}},
                    UsageCase{"surplus", {"port", "list", "x"}},
                    UsageCase{"host_bits", {"route", "add", "10.0.0.1/8", "blackhole"}},
                    UsageCase{"no_target", {"route", "add", "10.0.0.0/8"}},
                    UsageCase{"no_gateway", {"route", "add", "10.0.0.0/8", "via"}},
                    UsageCase{"bad_gateway", {"route", "add", "10.0.0.0/8", "via", "gw"}},
                    UsageCase{"bad_address", {"route", "get", "300.1.1.1"}},
                    UsageCase{"count_zero", {"trace", "--count", "0"}},
                    UsageCase{"count_big", {"trace", "--count", "1001"}},
                    UsageCase{"no_from", {"trace", "route", "--to", "10.0.0.1"}},
                    UsageCase{"bad_port", to("10.0.0.1:0")},
                    UsageCase{"bad_protocol", to("10.0.0.1:80/icmp")},
                    UsageCase{"no_brackets", to("fd00::1:80/tcp")},
                    UsageCase{"brackets_ip4", to("[10.0.0.1]:80")},
                    UsageCase{"interval", {"stats", "--interval", "-1"}}),
    [](const auto& given) { return given.param.name; });

TEST(CtlUsageHelp, UnfinishedLinesNameWhatMayFollow) {
  EXPECT_EQ(run_ctl("/nonexistent", {"port", "shw"}).err,
            "weirctl: 'weirctl port' must be followed by one of list, show: "
            "see 'weirctl port --help'\n");
}

TEST(CtlUsageHelp, VersionGoesToStdout) {
  const Ran ran = run_ctl("/nonexistent", {"--version"});
  EXPECT_EQ(ran.exit, 0);
  EXPECT_EQ(ran.out, "weirctl " WEIR_VERSION "\n");
}

TEST(CtlUsageHelp, HelpGoesToStdout) {
  const Ran ran = run_ctl("/nonexistent", {"route", "add", "--help"});
  EXPECT_EQ(ran.exit, 0);
  EXPECT_NE(ran.out.find("blackhole"), std::string::npos);
  EXPECT_EQ(ran.err, "");
}

TEST(CtlFailure, AbsentDataplaneNamesItsSocketAndTheRemedy) {
  const TemporaryDirectory empty;
  for (const char* command :
       {"port list", "route list", "worker show", "drop list", "stats", "trace"}) {
    std::istringstream words(command);
    std::vector<std::string> arguments{std::istream_iterator<std::string>(words), {}};
    arguments.emplace_back("-j");
    const Ran ran = run_ctl(empty.path(), arguments);
    expect_failure(ran, "unavailable", "weir-dataplane does not answer on " + empty.path());
    expect_failure(ran, "unavailable", "start it with");
  }
}

TEST(CtlFailure, AbsentControlNamesItsSocketAndTheRemedy) {
  const TemporaryDirectory empty;
  expect_failure(run_ctl(empty.path(), {"pod", "list", "-j"}), "unavailable",
                 "weir-control does not answer on " + empty.path());
}

TEST(CtlFailure, VersionNeedsNoDaemon) {
  const TemporaryDirectory empty;
  const Ran ran = run_ctl(empty.path(), {"version", "-j"});
  EXPECT_EQ(ran.exit, 0);
  EXPECT_EQ(ran.json()["weir_dataplane"], nullptr);
}

TEST(CtlFailure, OverlongRunDirIsAnErrorNotATruncation) {
  const std::string deep = "/tmp/" + std::string(200, 'x');
  expect_failure(run_ctl(deep, {"port", "list", "-j"}), "invalid_argument", "107 bytes");
  expect_failure(run_ctl(deep, {"pod", "list", "-j"}), "invalid_argument", "too long");
}

TEST(CtlFailure, SilentDataplaneTimesOut) {
  FakeDataplane dataplane;
  dataplane.on(api::MessageType::port_list, [](const auto&) { return FakeDataplane::Answer{}; });
  expect_failure(run_ctl(dataplane.run_dir(), {"port", "list", "-j"}, 50ms), "timeout");
}

TEST(CtlFailure, ListThatStopsHalfwayTimesOut) {
  FakeDataplane dataplane;
  dataplane.on(api::MessageType::port_list, [](const api::Message& request) {
    api::Message part(request.header.type);
    part.header.sequence = request.header.sequence;
    part.header.flags = api::kFlagReply | api::kFlagMore;
    return FakeDataplane::Answer{std::vector<std::string>(64, to_packet(part))};
  });
  expect_failure(run_ctl(dataplane.run_dir(), {"port", "list", "-j"}, 50ms), "timeout");
}

TEST(CtlFailure, DataplaneThatHangsUp) {
  FakeDataplane dataplane;
  dataplane.on(api::MessageType::port_list, [](const auto&) {
    return FakeDataplane::Answer{{}, true};
  });
  expect_failure(run_ctl(dataplane.run_dir(), {"port", "list", "-j"}), "unavailable");
}

TEST(CtlFailure, DataplaneErrorsAreCleanText) {
  FakeDataplane dataplane;
  dataplane.on(api::MessageType::port_list, [](const api::Message& request) {
    return FakeDataplane::Answer{
        {error_packet(request, {ErrorCode::limit, "too\nmany \x1b[31m ports \xff"})}};
  });
  expect_failure(run_ctl(dataplane.run_dir(), {"port", "list", "-j"}), "limit",
                 "too many ?[31m ports ?");
}

struct GarbageCase {
  const char* name;
  std::function<std::string(const api::Message&)> packet;
};
class CtlGarbage : public testing::TestWithParam<GarbageCase> {};

TEST_P(CtlGarbage, IsRefused) {
  FakeDataplane dataplane;
  dataplane.on(api::MessageType::worker_list, [](const api::Message& request) {
    return FakeDataplane::Answer{{GetParam().packet(request)}};
  });
  const Ran ran = run_ctl(dataplane.run_dir(), {"worker", "show", "-j"}, 200ms);
  EXPECT_EQ(ran.exit, 1);
  EXPECT_EQ(ran.out, "");
  EXPECT_FALSE(ran.error().is_discarded()) << ran.err;
}

api::Message worker_reply(const api::Message& request) {
  api::Message reply(request.header.type);
  reply.header.sequence = request.header.sequence;
  reply.header.flags = api::kFlagReply;
  reply.add(worker_record());
  return reply;
}

INSTANTIATE_TEST_SUITE_P(
    Packets, CtlGarbage,
    testing::Values(GarbageCase{"noise", [](const auto&) { return std::string(300, '\xa5'); }},
                    GarbageCase{"one_byte", [](const auto&) { return std::string(1, 'w'); }},
                    GarbageCase{"cut_record",
                                [](const auto& request) {
                                  const std::string whole = to_packet(worker_reply(request));
                                  return whole.substr(0, whole.size() - 5);
                                }},
                    GarbageCase{"cut_header",
                                [](const auto& request) {
                                  return to_packet(worker_reply(request)).substr(0, 20);
                                }},
                    GarbageCase{"count_lies",
                                [](const auto& request) {
                                  api::Message reply = worker_reply(request);
                                  reply.header.count = 1'000'000;
                                  return to_packet(reply);
                                }},
                    GarbageCase{"records_of_no_size",
                                [](const auto& request) {
                                  api::Message reply = worker_reply(request);
                                  reply.header.count = 0xffffffff;
                                  reply.header.record_size = 0;
                                  reply.body.clear();
                                  return to_packet(reply);
                                }},
                    GarbageCase{"other_version",
                                [](const auto& request) {
                                  api::Message reply = worker_reply(request);
                                  reply.header.version = 77;
                                  return to_packet(reply);
                                }},
                    GarbageCase{"other_type",
                                [](const auto& request) {
                                  api::Message reply = worker_reply(request);
                                  reply.header.type = api::MessageType::status;
                                  return to_packet(reply);
                                }},
                    GarbageCase{"other_sequence",
                                [](const auto& request) {
                                  api::Message reply = worker_reply(request);
                                  reply.header.sequence += 1000;
                                  return to_packet(reply);
                                }},
                    GarbageCase{"not_a_reply",
                                [](const auto& request) {
                                  api::Message reply = worker_reply(request);
                                  reply.header.flags = 0;
                                  return to_packet(reply);
                                }}),
    [](const auto& given) { return given.param.name; });

struct ControlCase {
  const char* name;
  std::string bytes;
  const char* code;
};
class CtlControlGarbage : public testing::TestWithParam<ControlCase> {};

TEST_P(CtlControlGarbage, IsRefused) {
  const TemporaryDirectory directory;
  const FakeControl control(directory.path(), [](const json&) { return GetParam().bytes; });
  expect_failure(run_ctl(directory.path(), {"pod", "list", "-j"}), GetParam().code);
}

std::string raw_frame(const std::string& body) {
  std::string frame("WEIR\1\0\2\0", 8);
  frame += static_cast<char>(body.size());
  return frame + std::string(3, '\0') + body;
}

INSTANTIATE_TEST_SUITE_P(
    Bytes, CtlControlGarbage,
    testing::Values(
        ControlCase{"nothing", "", "unavailable"},
        ControlCase{"noise", std::string(64, '\xa5'), "invalid_argument"},
        ControlCase{"half_header", "WEIR", "unavailable"},
        ControlCase{"half_body", response_frame({{"result", 1}}).substr(0, 18), "unavailable"},
        ControlCase{"huge", std::string("WEIR\1\0\2\0\xff\xff\xff\xff", 12), "limit"},
        ControlCase{"request_kind", std::string("WEIR\1\0\1\0\0\0\0\0", 12), "invalid_argument"},
        ControlCase{"other_version", std::string("WEIR\2\0\2\0\0\0\0\0", 12), "version"},
        ControlCase{"no_json", raw_frame("{nope"), "invalid_argument"},
        ControlCase{"empty_body", raw_frame(""), "invalid_argument"},
        ControlCase{"array", raw_frame("[]"), "invalid_argument"},
        ControlCase{"neither", raw_frame("{}"), "invalid_argument"},
        ControlCase{"error_no_object", raw_frame(R"({"error":5})"), "invalid_argument"},
        ControlCase{"error_odd", raw_frame(R"({"error":{"code":"x","msg":4}})"),
                    "invalid_argument"}),
    [](const auto& given) { return given.param.name; });

TEST(CtlFailure, SilentControlTimesOut) {
  const TemporaryDirectory directory;
  const FakeControl control(directory.path(), [](const json&) { return std::nullopt; });
  expect_failure(run_ctl(directory.path(), {"pod", "list", "-j"}, 50ms), "timeout");
}

TEST(CtlFailure, OddPodListIsShownEmpty) {
  const TemporaryDirectory directory;
  const FakeControl control(directory.path(), [](const json&) {
    return response_frame({{"result", 5}});
  });
  const Ran ran = run_ctl(directory.path(), {"pod", "list"});
  EXPECT_EQ(ran.exit, 0);
  EXPECT_EQ(ran.out, "no pod is attached\n");
}

}  // namespace
}  // namespace weir::test
