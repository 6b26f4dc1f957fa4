// How a dry run is told, to people and to programs.
#include "control/ctl/path_view.h"

#include <gtest/gtest.h>

#include "tests/control/ctl/records.h"

namespace weir::ctl {
namespace {

const PortNames kNames{{7, "default/web"}, {8, "default/dns-0"}};

TEST(CtlPath, ADeliveredPacketIsToldWhole) {
  EXPECT_EQ(path_text(test::path_record(), kNames),
            "packet:          10.244.0.5:49152 to 10.96.0.10:53, udp\n"
            "verdict:         delivered to default/dns-0 (key 8)\n"
            "service:         default/dns:udp, cluster-ip 10.96.0.10:53\n"
            "backend:         10.244.0.6:5353, by Maglev's hash of this flow\n"
            "NAT:             destination 10.244.0.6:5353\n"
            "masquerade:      10.244.0.1, a free port of 1024 to 65535\n"
            "route:           10.244.0.6/32, port, default/dns-0 (key 8)\n"
            "next hop:        02:00:00:00:00:08 on default/dns-0 (key 8)\n"
            "MTU:             1500 bytes\n"
            "larger packets:  fragments; with DF set, ICMP 3/4 (fragmentation needed)\n");
}

TEST(CtlPath, JsonHasTheSame) {
  const Json json = path_json(test::path_record(), kNames);
  EXPECT_EQ(json["verdict"], "delivered");
  EXPECT_EQ(json["protocol"], "udp");
  EXPECT_EQ(json["drop"], nullptr);
  EXPECT_EQ(json["service"]["chosen_by"], "hash");
  EXPECT_EQ(json["service"]["client_inside"], true);
  EXPECT_EQ(json["service"]["backend"], (Json{{"address", "10.244.0.6"}, {"port", 5353}}));
  EXPECT_EQ(json["masquerade"]["port"], nullptr);
  EXPECT_EQ(json["masquerade"]["ports"], (Json{1024, 65535}));
  EXPECT_EQ(json["out_port"]["name"], "default/dns-0");
  EXPECT_EQ(json["mtu"], 1500);
  EXPECT_EQ(json["larger"]["fragmented"], true);
  EXPECT_EQ(json["larger"]["icmp"], (Json{{"type", 3}, {"code", 4}}));
}

TEST(CtlPath, AnOpenConnectionHasItsPort) {
  api::PathTrace path = test::path_record();
  path.choice = api::PathChoice::connection;
  path.masquerade_first = path.masquerade_last = 0;
  EXPECT_NE(path_text(path, kNames).find("masquerade:      10.244.0.1:2000\n"), std::string::npos);
  EXPECT_EQ(path_json(path, kNames)["masquerade"]["port"], 2000);
}

TEST(CtlPath, ARefusalNamesReasonAndError) {
  api::PathTrace path = test::path_record();
  path.end = api::PathEnd::rejected;
  path.choice = api::PathChoice::none;
  path.flags = 0;
  path.out_key = 0;
  path.icmp_type = path.icmp_code = 3;
  path.route = {};
  api::set_text(path.drop, "service_no_backend");
  api::set_text(path.drop_text, "service has no usable backend");
  EXPECT_EQ(path_text(path, kNames),
            "packet:   10.244.0.5:49152 to 10.96.0.10:53, udp\n"
            "verdict:  rejected with ICMP 3/3 (port unreachable), service_no_backend: "
            "service has no usable backend\n"
            "service:  default/dns:udp, cluster-ip 10.96.0.10:53\n"
            "route:    none\n");
  const Json json = path_json(path, kNames);
  EXPECT_EQ(json["drop"]["name"], "service_no_backend");
  EXPECT_EQ(json["icmp"], (Json{{"type", 3}, {"code", 3}}));
  EXPECT_EQ(json["service"]["backend"], nullptr);
  EXPECT_EQ(json["out_port"], nullptr);
  EXPECT_EQ(json["mtu"], nullptr);
}

TEST(CtlPath, EchoHasNoPorts) {
  api::PathTrace path{.end = api::PathEnd::answered,
                      .source = {.address = *parse_address("fd00::2"), .protocol = 58},
                      .destination = {.address = *parse_address("fd00::1"), .protocol = 58}};
  EXPECT_EQ(path_text(path, kNames),
            "packet:   fd00::2 to fd00::1, echo request\n"
            "verdict:  answered by the dataplane itself\n"
            "route:    none\n");
  EXPECT_EQ(path_json(path, kNames)["protocol"], "icmpv6");
  EXPECT_EQ(path_json(path, kNames)["source"]["port"], nullptr);
}

}  // namespace
}  // namespace weir::ctl
