// What weirctl prints, from fixed records.
#include <gtest/gtest.h>

#include <limits>

#include "control/ctl/conn_view.h"
#include "control/ctl/drop_view.h"
#include "control/ctl/json_view.h"
#include "control/ctl/port_view.h"
#include "control/ctl/route_view.h"
#include "control/ctl/stats_view.h"
#include "control/ctl/status_view.h"
#include "control/ctl/table.h"
#include "control/ctl/worker_view.h"
#include "tests/control/ctl/records.h"

namespace weir::ctl {
namespace {

using test::kBigKey;
using test::port_record;
using test::route_record;

std::vector<api::PortState> two_ports() {
  return {port_record(7, "default/web", "10.244.0.5"),
          port_record(kBigKey, "default/db", "10.244.0.6")};
}

TEST(CtlText, NumbersStayExactInJson) {
  EXPECT_EQ(json_u64(1ULL << 53).dump(), "9007199254740992");
  EXPECT_EQ(json_u64((1ULL << 53) + 1).dump(), "\"9007199254740993\"");
  EXPECT_EQ(json_real(std::numeric_limits<double>::infinity()).dump(), "0.0");
  EXPECT_EQ(json_real(0.12345).dump(), "0.123");
}

TEST(CtlText, NothingFromAPodReachesTheTerminalUnchecked) {
  EXPECT_EQ(printable("a\x1b[31mb\x07\xc2\x9b\n"), "a?[31mb????");
  std::array<char, 4> unterminated{'a', 'b', 'c', 'd'};
  EXPECT_EQ(field_text(unterminated), "abcd");
}

TEST(CtlText, UnitsKeepThreeDigits) {
  EXPECT_EQ(with_prefix(0, "p/s"), "0 p/s");
  EXPECT_EQ(with_prefix(999.9, "p/s"), "1.00 kp/s");
  EXPECT_EQ(with_prefix(1234567, "p/s"), "1.23 Mp/s");
  EXPECT_EQ(with_prefix(98.76e9, "bit/s"), "98.8 Gbit/s");
  EXPECT_EQ(with_prefix(5e15, "bit/s"), "5000 Tbit/s");
  EXPECT_EQ(byte_size(512), "512 B");
  EXPECT_EQ(byte_size(12'900'000), "12.3 MiB");
  EXPECT_EQ(duration(6'700'000'000), "6.7 s");
  EXPECT_EQ(duration(90'061'000'000'000), "1d 1h");
}

TEST(CtlTable, AlignsColumnsAndMarksEmptyCells) {
  Table table({{"NAME"}, {"COUNT", Table::Align::right}, {"LAST"}});
  table.row({"a", "10", ""});
  table.row({"longer", "1", "x"});
  EXPECT_EQ(table.text(),
            "NAME    COUNT  LAST\n"
            "a          10  -\n"
            "longer      1  x\n");
}

TEST(CtlPortView, ListsPortsInColumns) {
  EXPECT_EQ(
      ports_text(two_ports()),
      "                 KEY  NAME         KIND    IFNAME  ADDRESSES    MTU  LINK  WORKER  RX  TX"
      "  DROPS\n"
      "                   7  default/web  kernel  eth0    10.244.0.5  1500  up         0  12   9"
      "      3\n"
      "18000000000000000001  default/db   kernel  eth0    10.244.0.6  1500  up         0  12   9"
      "      3\n");
}

TEST(CtlPortView, JsonHasNumbersAndExactKeys) {
  const Json json = ports_json(two_ports());
  EXPECT_EQ(json[0]["key"], 7);
  EXPECT_EQ(json[1]["key"], "18000000000000000001");
  EXPECT_EQ(json[0]["addresses"], Json({"10.244.0.5"}));
  EXPECT_EQ(json[0]["gateway6"], "");
  EXPECT_EQ(json[0]["counters"]["rx_bytes"], 1200);
  EXPECT_FALSE(json[0].contains("memif"));
}

TEST(CtlPortView, DamagedRecordsAreShownNotFollowed) {
  api::PortState port = port_record(7, "default/web", "10.244.0.5");
  port.config.address_count = 255;
  port.config.kind = static_cast<api::PortKind>(99);
  port.link = static_cast<api::LinkState>(77);
  port.config.name.fill('\xff');
  const Json json = port_json(port, {});
  EXPECT_EQ(json["addresses"].size(), api::kMaxPortAddresses);
  EXPECT_EQ(json["kind"], "unknown");
  EXPECT_EQ(json["link"], "unknown");
  EXPECT_EQ(json["name"], std::string(64, '?'));
  EXPECT_TRUE(Json::accept(dump(json)));
}

TEST(CtlPortView, OnePortShowsOnlyDropsThatHappened) {
  const std::vector drops{test::drop_record("parse_runt", 0), test::drop_record("source_ip4", 3)};
  const std::string text = port_text(port_record(7, "default/web", "10.244.0.5"), drops);
  EXPECT_NE(text.find("source_ip4"), std::string::npos);
  EXPECT_EQ(text.find("parse_runt"), std::string::npos);
  EXPECT_NE(text.find("received:       12 packets, 1200 bytes\n"), std::string::npos) << text;
}

TEST(CtlPortView, MemifSecretIsNeverShown) {
  api::PortState port = port_record(7, "default/web", "10.244.0.5");
  port.config.kind = api::PortKind::memif;
  api::set_text(port.config.secret, "hunter2");
  const std::string all = dump(port_json(port, {})) + port_text(port, {});
  EXPECT_EQ(all.find("hunter2"), std::string::npos);
  EXPECT_EQ(port_json(port, {})["memif"]["has_secret"], true);
}

TEST(CtlPortView, MemifShowsItsPeerAndItsRings) {
  api::PortState port = port_record(7, "default/web", "10.244.0.5");
  port.config.kind = api::PortKind::memif;
  port.config.memif_role = api::MemifRole::client;
  port.config.memif_mode = api::MemifMode::ip;
  api::set_text(port.peer_name, "VPP");
  api::set_text(port.memif.interface, "memif0/0");
  api::set_text(port.memif.last_end, "server is gone");
  port.memif.peer_pid = 42;
  port.memif.regions = 1;
  port.memif.region_bytes = 4096;
  port.memif.connections = 2;
  port.memif.rx_rings = port.memif.tx_rings = 1;
  port.memif.rx[0] = {.size = 1024, .fill = 3, .interrupts = 1, .packets = 5};
  const std::string text = port_text(port, {});
  for (const char* part : {"client, ip mode", "VPP (interface memif0/0, pid 42, uid 0, gid 0)",
                           "1 regions, 4096 bytes", "server is gone"})
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
  EXPECT_NE(text.find("0  rx    1024     3  interrupts        5"), std::string::npos) << text;
  const Json memif = port_json(port, {})["memif"];
  EXPECT_EQ(memif["role"], "client");
  EXPECT_EQ(memif["peer"]["interface"], "memif0/0");
  EXPECT_EQ(memif["connections"], 2);
  ASSERT_EQ(memif["rings"].size(), 2U);
  EXPECT_EQ(memif["rings"][0]["interrupts"], true);
  EXPECT_EQ(memif["rings"][1]["direction"], "tx");
}

TEST(CtlPortView, DamagedRingCountsAreNotFollowed) {
  api::PortState port = port_record(7, "default/web", "10.244.0.5");
  port.config.kind = api::PortKind::memif;
  port.memif.rx_rings = port.memif.tx_rings = 255;
  EXPECT_EQ(port_json(port, {})["memif"]["rings"].size(), 2 * api::kMaxMemifRings);
}

TEST(CtlPortView, FindsByKeyNameAndAddress) {
  const auto ports = two_ports();
  for (const char* reference : {"7", "0x7", "default/web", "10.244.0.5"}) {
    const auto found = find_port(ports, reference);
    ASSERT_TRUE(found) << reference;
    EXPECT_EQ((*found)->config.key, 7U);
  }
}

TEST(CtlPortView, AmbiguousAndUnknownNamesSayWhatToDo) {
  auto ports = two_ports();
  const auto unknown = find_port(ports, "nobody");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ErrorCode::not_found);
  api::set_text(ports[1].config.name, "default/web");
  const auto twice = find_port(ports, "default/web");
  ASSERT_FALSE(twice);
  EXPECT_NE(twice.error().text.find("7, 18000000000000000001"), std::string::npos);
}

TEST(CtlRouteView, SortsAndNamesPorts) {
  std::vector<api::Route> routes{route_record("fd00::/64", api::RouteKind::blackhole),
                                 route_record("10.244.0.5/32", api::RouteKind::port, 7),
                                 route_record("10.244.0.0/24", api::RouteKind::gateway),
                                 route_record("10.244.0.5/30", api::RouteKind::none)};
  routes[3] = route_record("9.0.0.0/8", api::RouteKind::unreachable);
  routes[1].flags = api::kRouteLease;
  routes[2].flags = api::kRouteUnresolved;
  routes[2].gateway = *parse_address("10.244.0.9");
  sort_routes(routes);
  EXPECT_EQ(routes_text(routes, port_names(two_ports())),
            "PREFIX         KIND         GATEWAY     PORT                 ORIGIN      STATE\n"
            "9.0.0.0/8      unreachable  -           -                    configured  ok\n"
            "10.244.0.0/24  gateway      10.244.0.9  -                    configured  unresolved\n"
            "10.244.0.5/32  port         -           default/web (key 7)  lease       ok\n"
            "fd00::/64      blackhole    -           -                    configured  ok\n");
  const Json json = routes_json(routes, port_names(two_ports()));
  EXPECT_EQ(json[2]["port"], (Json{{"key", 7}, {"name", "default/web"}}));
  EXPECT_EQ(json[0]["port"], nullptr);
  EXPECT_EQ(json[1]["unresolved"], true);
  EXPECT_EQ(json[1]["next_hops"][0]["gateway"], "10.244.0.9");
  EXPECT_EQ(json[0]["next_hops"], Json::array());
}

TEST(CtlRouteView, ShowsEveryNextHop) {
  api::Route route = route_record("10.244.0.0/24", api::RouteKind::multipath);
  route.next_hop_count = 2;
  route.next_hops[0] = {.gateway = *parse_address("192.0.2.2"), .weight = 1, .unresolved = 1};
  route.next_hops[1] = {.gateway = *parse_address("192.0.2.3"), .weight = 5};
  EXPECT_EQ(routes_text({&route, 1}, {}),
            "PREFIX         KIND       GATEWAY                              PORT  ORIGIN      STATE\n"
            "10.244.0.0/24  multipath  192.0.2.2 (unresolved), 192.0.2.3*5  -     configured  ok\n");
  const Json json = route_json(route, {});
  EXPECT_EQ(json["next_hops"][0]["unresolved"], true);
  EXPECT_EQ(json["next_hops"][1]["weight"], 5);
}

TEST(CtlConnView, ShowsEveryEndAndWhoseItIs) {
  std::vector connections{test::connection_record(7), test::connection_record(0)};
  connections[1].flags = 0;
  connections[1].client.address = *parse_address("fd00::2");
  connections[1].phase = static_cast<api::ConnectionPhase>(9);
  const PortNames names = port_names(two_ports());
  EXPECT_EQ(connections_text(connections, names),
            "PROTOCOL  CLIENT           FRONTEND       BACKEND          MASQUERADE       PHASE  "
            "  IDLE   LEFT  PORT\n"
            "udp       10.244.0.5:4000  10.96.0.10:53  10.244.0.6:5353  10.244.0.1:2000  open   "
            "   3 s  177 s  default/web (key 7)\n"
            "udp       [fd00::2]:4000   10.96.0.10:53  10.244.0.6:5353  -                unknown"
            "   3 s  177 s  -\n");
  const Json json = connections_json(connections, names);
  EXPECT_EQ(json[0]["masquerade"], (Json{{"address", "10.244.0.1"}, {"port", 2000}}));
  EXPECT_EQ(json[1]["masquerade"], nullptr);
}

TEST(CtlConnView, StatsAreNumbers) {
  const api::ConnectionStats stats{.capacity = 1000, .in_use = 12, .created = 1ULL << 60};
  EXPECT_NE(connection_stats_text(stats).find("12 of 1000"), std::string::npos);
  EXPECT_EQ(connection_stats_json(stats)["created"], std::to_string(1ULL << 60));
}

TEST(CtlWorkerView, DerivesRatesAndSkipsIdleStages) {
  const std::vector workers{test::worker_record()};
  EXPECT_EQ(workers_text(workers),
            "WORKER  CORE  NUMA  MODE     PORTS  PACKETS  VECTORS  PACKETS/VECTOR  CYCLES/PACKET"
            "  SLEEPS  HANDOFFS\n"
            "     0     3     0  polling      2      320       10            32.0          100.0"
            "       0         0\n"
            "\nworker 0 by stage\n"
            "STAGE  PACKETS  VECTORS  PACKETS/VECTOR  CYCLES/PACKET\n"
            "parse      320       10            32.0           20.0\n");
  const Json json = workers_json(workers);
  EXPECT_EQ(json[0]["stages"].size(), 2U);
  EXPECT_EQ(json[0]["stages"][0]["cycles_per_packet"], 20.0);
}

TEST(CtlWorkerView, StageCountBeyondTheRecordIsCut) {
  api::WorkerState worker = test::worker_record();
  worker.stage_count = 255;
  EXPECT_EQ(workers_json({&worker, 1})[0]["stages"].size(), api::kMaxStages);
}

TEST(CtlStatsView, RatesAreBetweenTheSnapshots) {
  StatsSnapshot before{
      .nanoseconds = 1'000'000'000, .ports = two_ports(), .workers = {}, .drops = {}};
  StatsSnapshot after{.nanoseconds = 3'000'000'000,
                      .ports = two_ports(),
                      .workers = {test::worker_record()},
                      .drops = {test::drop_record("source_ip4", 10)}};
  after.ports[0].counters.rx_packets += 4000;
  after.ports[0].counters.tx_packets = 1;  // its port was made anew
  const Json json = stats_json(before, after);
  EXPECT_EQ(json["interval_seconds"], 2.0);
  EXPECT_EQ(json["ports"][0]["rx_packets_per_second"], 2000.0);
  EXPECT_EQ(json["ports"][0]["tx_packets_per_second"], 0.0);
  EXPECT_EQ(json["workers"][0]["packets_per_second"], 160.0);
  EXPECT_EQ(json["drops"][0]["per_second"], 5.0);
  EXPECT_NE(stats_text(before, after).find("2.00 kp/s"), std::string::npos);
  EXPECT_EQ(stats_json(after, after)["ports"][0]["rx_packets_per_second"], 0.0);
}

TEST(CtlStatusView, ShowsTheDaemonThatAnswersAndTheErrorOfTheOther) {
  DataplaneAnswer answer;
  api::set_text(answer.hello.build, "1.2.3");
  answer.status.pid = 42;
  const Result<DataplaneAnswer> dataplane(answer);
  const Result<Json> control(Error{ErrorCode::unavailable, "start it"});
  const std::string text = status_text(dataplane, control);
  EXPECT_NE(text.find("1.2.3"), std::string::npos);
  EXPECT_NE(text.find("start it"), std::string::npos);
  const Json json = status_json(dataplane, control);
  EXPECT_EQ(json["dataplane"]["pid"], 42);
  EXPECT_EQ(json["control"]["running"], false);
  EXPECT_EQ(json["control"]["error"]["code"], "unavailable");
}

TEST(CtlStatusView, TellsControlsOwnViewInWords) {
  const Result<DataplaneAnswer> dataplane(Error{ErrorCode::timeout, "late"});
  const Result<Json> control(Json::parse(R"({"uptime_s": 65, "attachments": 3,
      "dataplane": {"connected": false, "reason": "not there"},
      "pools": [{"ranges": "10.244.0.0/24", "size": 253, "used": 5}], "new_key": [1, 2]})"));
  EXPECT_EQ(status_text(dataplane, control),
            "weir-dataplane\n"
            "  state:   does not answer\n"
            "  reason:  late\n"
            "weir-control\n"
            "  state:        running\n"
            "  uptime:       1m 5s\n"
            "  attachments:  3\n"
            "  dataplane:    not connected: not there\n"
            "  addresses:    5 of 253 used in 10.244.0.0/24\n"
            "  new_key:      1,2\n");
}

TEST(CtlJsonView, TablesTakeOddRows) {
  const Json rows = Json::array({{{"b", 1}, {"a", "x"}}, "odd", {{"a", {1, 2}}}});
  EXPECT_EQ(table_of(rows, {"a", "b"}, "none"),
            "A    B\n"
            "x    1\n"
            "-    -\n"
            "1,2  -\n");
  EXPECT_EQ(table_of(Json::array(), {"a"}, "none"), "none\n");
  EXPECT_EQ(table_of(5, {"a"}, "none"), "none\n");
  EXPECT_EQ(cell_of(Json{{"k", {true, nullptr}}}), "k=yes,");
}

}  // namespace
}  // namespace weir::ctl
