// Whole commands against daemons that only talk.
#include <gtest/gtest.h>

#include <fstream>

#include "tests/control/ctl/records.h"
#include "tests/control/ctl/run.h"
#include "tests/control/fake_control.h"
#include "tests/control/fake_dataplane.h"

namespace weir::test {
namespace {

using nlohmann::json;

class CtlCommand : public testing::Test {
 protected:
  CtlCommand() {
    dataplane_.ports = {port_record(7, "default/web", "10.244.0.5"),
                        port_record(8, "default/db", "10.244.0.6")};
    dataplane_.routes = {route_record("10.244.0.5/32", api::RouteKind::port, 7)};
    dataplane_.workers = {worker_record()};
    dataplane_.drops = {drop_record("parse_runt", 0), drop_record("source_ip4", 3)};
    dataplane_.connections = {connection_record(7)};
    dataplane_.connection_stats.capacity = 1000;
    dataplane_.status.pid = 42;
  }

  Ran run(std::vector<std::string> arguments) {
    return run_ctl(dataplane_.run_dir(), std::move(arguments));
  }
  // The params of the only request that a fake weir-control got.
  json changed_by(const std::vector<std::string>& arguments, const std::string& method) {
    FakeControl control(dataplane_.run_dir(), [](const json&) {
      return response_frame({{"result", json::object()}});
    });
    const Ran ran = run(arguments);
    EXPECT_EQ(ran.exit, 0) << ran.err;
    const auto seen = control.seen();
    EXPECT_EQ(seen.size(), 1U);
    if (seen.size() != 1) return nullptr;
    EXPECT_EQ(seen[0]["method"], method);
    return seen[0]["params"];
  }

  FakeDataplane dataplane_;
};

TEST_F(CtlCommand, EveryReadingCommandGivesTextAndJson) {
  const std::vector<std::vector<std::string>> commands{{"port", "list"},
                                                       {"port", "show", "default/web"},
                                                       {"route", "list"},
                                                       {"route", "get", "10.244.0.5"},
                                                       {"worker", "show"},
                                                       {"drop", "list"},
                                                       {"drop", "list", "--all"},
                                                       {"conn", "list"},
                                                       {"conn", "stats"},
                                                       {"stats", "--interval", "0"},
                                                       {"trace", "route", "--from", "7", "--to", "10.0.0.1"},
                                                       {"version"}};
  for (auto command : commands) {
    const Ran text = run(command);
    EXPECT_EQ(text.exit, 0) << command[0] << ": " << text.err;
    EXPECT_FALSE(text.out.empty());
    EXPECT_EQ(text.err, "");
    command.emplace_back("-j");
    const Ran machine = run(command);
    EXPECT_EQ(machine.exit, 0) << command[0];
    EXPECT_FALSE(machine.json().is_discarded()) << machine.out;
  }
}

TEST_F(CtlCommand, TraceRouteAsksForOnePacket) {
  dataplane_.path = path_record();
  const Ran ran = run({"trace", "route", "--from", "default/web", "--to", "10.96.0.10:53/udp"});
  EXPECT_EQ(ran.exit, 0) << ran.err;
  const auto asked = dataplane_.seen(api::MessageType::trace_route);
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_TRUE(dataplane_.seen(api::MessageType::trace_start).empty());
  const auto query = asked[0].records<api::PathQuery>().at(0);
  EXPECT_EQ(query.port_key, 7U);
  EXPECT_TRUE(query.source.address.is_none());
  EXPECT_EQ(query.source.port, 49152);
  EXPECT_EQ(to_string(query.destination.address), "10.96.0.10");
  EXPECT_EQ(query.destination.port, 53);
  EXPECT_EQ(query.destination.protocol, 17);
}

TEST_F(CtlCommand, TraceRouteTakesAllFormsOfTargets) {
  const std::vector<std::tuple<std::string, int, int>> targets{
      {"10.0.0.1", 0, 1},         {"fd00::1", 0, 58},         {"10.0.0.1:80", 80, 6},
      {"[fd00::1]:80/tcp", 80, 6}, {"10.0.0.1:9/sctp", 9, 132}};
  for (const auto& [text, port, protocol] : targets) {
    EXPECT_EQ(run({"trace", "route", "--from", "10.244.0.5", "--to", text}).exit, 0) << text;
    const auto query =
        dataplane_.seen(api::MessageType::trace_route).back().records<api::PathQuery>().at(0);
    EXPECT_EQ(query.destination.port, port) << text;
    EXPECT_EQ(query.destination.protocol, protocol) << text;
    EXPECT_EQ(to_string(query.source.address), "10.244.0.5");
  }
}

TEST_F(CtlCommand, ServiceApplySendsTheFileAsItIs) {
  const std::string file = dataplane_.run_dir() + "/web.json";
  std::ofstream(file) << "{\"name\": \"web\"}\n";
  const json params = changed_by({"service", "apply", "-f", file}, "service.apply");
  EXPECT_EQ(params["text"], "{\"name\": \"web\"}\n");
}

TEST_F(CtlCommand, ServiceNamesMayHoldTheirNamespace) {
  const json whole = changed_by({"service", "delete", "shop/web"}, "service.delete");
  EXPECT_EQ(whole, (json{{"namespace", "shop"}, {"name", "web"}}));
}

TEST_F(CtlCommand, TheNamespaceMayBeAnOption) {
  const json option = changed_by({"service", "explain", "web", "-n", "shop"}, "service.explain");
  EXPECT_EQ(option, (json{{"namespace", "shop"}, {"name", "web"}}));
}

TEST_F(CtlCommand, ServiceApplyTellsWhenTheDataplaneHasItNotYet) {
  const std::string file = dataplane_.run_dir() + "/web.json";
  std::ofstream(file) << "{}";
  FakeControl control(dataplane_.run_dir(), [](const json&) {
    return response_frame(
        {{"result",
          {{"objects", {{{"kind", "Service"}, {"name", "default/web"}}}},
           {"sent", false},
           {"reason", "it is away"}}}});
  });
  const Ran ran = run({"service", "apply", "-f", file});
  EXPECT_EQ(ran.exit, 0);
  EXPECT_EQ(ran.out, "Service default/web applied\n");
  EXPECT_NE(ran.err.find("does not have it yet: it is away"), std::string::npos);
}

TEST_F(CtlCommand, ServiceApplyNamesAFileThatIsNotThere) {
  const Ran ran = run({"service", "apply", "-f", "/nowhere/web.json"});
  EXPECT_EQ(ran.exit, 1);
  EXPECT_NE(ran.err.find("cannot read /nowhere/web.json"), std::string::npos);
}

TEST_F(CtlCommand, ListsThatComeInSeveralMessagesAreWhole) {
  dataplane_.routes.assign(950, route_record("10.0.0.0/8", api::RouteKind::blackhole));
  EXPECT_EQ(run({"-j", "route", "list"}).json().size(), 950U);
}

TEST_F(CtlCommand, DropListLeavesZeroCountersOutUnlessAsked) {
  EXPECT_EQ(run({"drop", "list", "-j"}).json().size(), 1U);
  EXPECT_EQ(run({"drop", "list", "-j", "--all"}).json().size(), 2U);
}

TEST_F(CtlCommand, DropListAsksForThePortThatWasNamed) {
  EXPECT_EQ(run({"drop", "list", "--port", "default/db"}).exit, 0);
  const auto seen = dataplane_.seen(api::MessageType::drop_list);
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0].records<api::PortKey>()[0].key, 8U);
}

TEST_F(CtlCommand, ConnListAsksForWhatWasWanted) {
  EXPECT_EQ(run({"conn", "list", "--address", "10.96.0.10", "--port", "53", "--protocol", "udp",
                 "--limit", "5"})
                .exit,
            0);
  const auto seen = dataplane_.seen(api::MessageType::connection_list);
  ASSERT_EQ(seen.size(), 1U);
  const auto query = seen[0].records<api::ConnectionQuery>()[0];
  EXPECT_EQ(query.address, *parse_address("10.96.0.10"));
  EXPECT_EQ(query.port, 53);
  EXPECT_EQ(query.protocol, 17);
  EXPECT_EQ(query.limit, 5U);
  EXPECT_EQ(run({"conn", "list", "--protocol", "icmp"}).exit, 2);
}

TEST_F(CtlCommand, ConnListGoesOnAfterAFullPage) {
  dataplane_.connections.assign(10000, connection_record(7));
  EXPECT_EQ(run({"conn", "list", "-j", "--limit", "20000"}).json().size(), 20000U);
  const auto seen = dataplane_.seen(api::MessageType::connection_list);
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[1].records<api::ConnectionQuery>()[0].first, 10U);
}

TEST_F(CtlCommand, RouteGetSaysWhenThereIsNone) {
  dataplane_.routes.clear();
  const Ran ran = run({"route", "get", "192.0.2.1", "-j"});
  EXPECT_EQ(ran.exit, 1);
  EXPECT_EQ(ran.out, "");
  EXPECT_EQ(ran.error()["error"]["code"], "not_found");
}

TEST_F(CtlCommand, RouteChangesGoToControl) {
  EXPECT_EQ(changed_by({"route", "add", "10.9.0.0/16", "via", "10.244.0.5"}, "route.add"),
            (json{{"prefix", "10.9.0.0/16"}, {"via", "10.244.0.5"}}));
}

TEST_F(CtlCommand, RouteToAPortResolvesItsName) {
  EXPECT_EQ(changed_by({"route", "add", "10.9.0.0/16", "port", "default/db"}, "route.add"),
            (json{{"prefix", "10.9.0.0/16"}, {"port", 8}}));
}

TEST_F(CtlCommand, RouteKindsNeedNoTarget) {
  EXPECT_EQ(changed_by({"route", "add", "fd00::/8", "unreachable"}, "route.add"),
            (json{{"prefix", "fd00::/8"}, {"kind", "unreachable"}}));
}

TEST_F(CtlCommand, RouteDelNamesThePrefix) {
  EXPECT_EQ(changed_by({"route", "del", "10.9.0.0/16"}, "route.del"),
            (json{{"prefix", "10.9.0.0/16"}}));
}

TEST_F(CtlCommand, PodsAndAddressesComeFromControl) {
  FakeControl control(dataplane_.run_dir(), [](const json& request) {
    if (request["method"] == "pod.list") {
      return response_frame({{"result",
                              {{{"name", "default/web"},
                                {"container_id", "0123456789abcdef"},
                                {"addresses", {"10.244.0.5", "fd00::5"}},
                                {"port_key", 7}}}}});
    }
    return response_frame(
        {{"result",
          {{"pools", {{{"ranges", "10.244.0.0/24"}, {"free", 5}, {"size", 1ULL << 60}}}},
           {"leases", {{{"address", "10.244.0.5"}, {"state", "leased"}}}}}}});
  });
  EXPECT_EQ(run({"pod", "list"}).out,
            "NAME         CONTAINER     IFNAME  KIND  ADDRESSES           MTU  PORT KEY  STATE\n"
            "default/web  0123456789ab  -       -     10.244.0.5,fd00::5  -           7  -\n");
  EXPECT_EQ(run({"pod", "list", "-j"}).json()[0]["container_id"], "0123456789abcdef");
  EXPECT_NE(run({"ipam", "show"}).out.find("10.244.0.5  leased"), std::string::npos);
  const ctl::Json pool = run({"ipam", "show", "-j"}).json()["pools"][0];
  EXPECT_EQ(pool["free"], 5);
  EXPECT_EQ(pool["size"], "1152921504606846976");
}

TEST_F(CtlCommand, ControlErrorsKeepTheirSentence) {
  FakeControl control(dataplane_.run_dir(), [](const json&) {
    return response_frame(
        {{"error", {{"code", 7}, {"msg", "prefix overlaps"}, {"details", "choose another"}}}});
  });
  const Ran ran = run({"route", "del", "10.9.0.0/16"});
  EXPECT_EQ(ran.exit, 1);
  EXPECT_EQ(ran.out, "");
  EXPECT_EQ(ran.err, "weirctl: prefix overlaps: choose another\n");
}

TEST_F(CtlCommand, StatusShowsOneDaemonAndFailsForTheOther) {
  const Ran ran = run({"status", "-j"});
  EXPECT_EQ(ran.exit, 1);
  EXPECT_EQ(ran.json()["dataplane"]["pid"], 42);
  EXPECT_EQ(ran.json()["control"]["running"], false);
  EXPECT_EQ(ran.error()["error"]["code"], "unavailable");
}

TEST_F(CtlCommand, StatusSucceedsWhenBothAnswer) {
  FakeControl control(dataplane_.run_dir(), [](const json&) {
    return response_frame({{"result", {{"pods", 3}}}});
  });
  const Ran ran = run({"status", "-j"});
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(ran.json()["control"]["pods"], 3);
}

TEST_F(CtlCommand, TraceStartsPrintsAndStops) {
  dataplane_.traces = {{trace_record(1, 0, "rx", "parse"),
                        trace_record(1, 1, "source_check", "source_ip4"),
                        trace_record(2, 0, "rx", "parse"), trace_record(2, 1, "tx", "sent")}};
  const Ran ran = run({"trace", "--port", "default/web", "--count", "2", "--drops", "-j"});
  EXPECT_EQ(ran.exit, 0) << ran.err;
  const size_t line = ran.out.find('\n');
  EXPECT_EQ(ctl::Json::parse(ran.out.substr(0, line))["drop"]["name"], "source_ip4");
  EXPECT_EQ(ctl::Json::parse(ran.out.substr(line))["outcome"], "sent");
  const auto starts = dataplane_.seen(api::MessageType::trace_start);
  ASSERT_EQ(starts.size(), 2U);
  const api::TraceFilter filter = starts[0].records<api::TraceFilter>()[0];
  EXPECT_EQ(filter.port_key, 7U);
  EXPECT_EQ(filter.packets, 2U);
  EXPECT_EQ(filter.drops_only, 1);
  EXPECT_EQ(starts[1].records<api::TraceFilter>()[0].packets, 0U);
}

TEST_F(CtlCommand, TraceEndsAtItsTimeout) {
  const Ran ran = run({"trace", "--timeout", "0.05"});
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(ran.err, "weirctl: no packet was traced\n");
  EXPECT_EQ(dataplane_.seen(api::MessageType::trace_start).size(), 2U);
}

TEST_F(CtlCommand, TraceEndsWithASignalAndStopsInTheDataplane) {
  const pthread_t self = pthread_self();
  dataplane_.on(api::MessageType::trace_start, [self](const api::Message& request) {
    pthread_kill(self, SIGINT);
    return FakeDataplane::Answer{reply_packets<api::TraceRecord>(request, {})};
  });
  EXPECT_EQ(run({"trace"}).exit, 0);
  EXPECT_EQ(dataplane_.seen(api::MessageType::trace_start).size(), 2U);
}

}  // namespace
}  // namespace weir::test
