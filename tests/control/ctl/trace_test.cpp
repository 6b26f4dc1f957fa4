// How traced packets are gathered and read.
#include <gtest/gtest.h>

#include "control/ctl/decode.h"
#include "control/ctl/trace_view.h"
#include "tests/control/ctl/records.h"

namespace weir::ctl {
namespace {

using test::trace_record;

std::vector<uint8_t> bytes_of(std::string_view hex) {
  std::vector<uint8_t> bytes;
  std::string digits;
  for (const char c : hex) {
    if (c == ' ') continue;
    digits += c;
    if (digits.size() < 2) continue;
    bytes.push_back(static_cast<uint8_t>(std::stoul(digits, nullptr, 16)));
    digits.clear();
  }
  return bytes;
}

constexpr const char* kEthernet = "027765697201 020000000007 ";
constexpr const char* kIp4 = "4500 0054 0000 0000 40 01 0000 0af40005 0af40006 ";
constexpr const char* kIp6 =
    "60000000 0040 3a 40 fd000000000000000000000000000005 fd000000000000000000000000000006 ";

struct DecodeCase {
  const char* name;
  std::string hex;
  const char* text;
};

class CtlDecode : public testing::TestWithParam<DecodeCase> {};

TEST_P(CtlDecode, SaysItInOneLine) {
  const auto bytes = bytes_of(kEthernet + GetParam().hex);
  EXPECT_EQ(describe_frame(bytes, 98),
            std::string("02:00:00:00:00:07 > 02:77:65:69:72:01 ") + GetParam().text + ", 98 bytes");
}

// Cutting a frame anywhere must never read past its end (run under ASan) nor throw.
TEST_P(CtlDecode, AnyCutIsReadable) {
  const auto bytes = bytes_of(kEthernet + GetParam().hex);
  for (size_t length = 0; length <= bytes.size(); ++length) {
    const std::vector<uint8_t> cut(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(length));
    EXPECT_FALSE(describe_frame(cut, 98).empty());
  }
}

INSTANTIATE_TEST_SUITE_P(
    Frames, CtlDecode,
    testing::Values(
        DecodeCase{"echo4", std::string("0800 ") + kIp4 + "0800 0000 0007 0001",
                   "IPv4 10.244.0.5 > 10.244.0.6 ttl 64 ICMP echo request id 7 seq 1"},
        DecodeCase{"too_big4", std::string("0800 ") + kIp4 + "0304 0000 0000 0578",
                   "IPv4 10.244.0.5 > 10.244.0.6 ttl 64 ICMP fragmentation needed mtu 1400"},
        DecodeCase{"icmp_other", std::string("0800 ") + kIp4 + "2a01 0000 0000 0000",
                   "IPv4 10.244.0.5 > 10.244.0.6 ttl 64 ICMP type 42 code 1"},
        DecodeCase{"tcp4",
                   "0800 4500 0054 0000 4000 3f 06 0000 0af40005 0af40006 "
                   "1f90 0050 0000000a 0000000b 5012 0000 0000 0000",
                   "IPv4 10.244.0.5 > 10.244.0.6 ttl 63 TCP 8080 > 80 [S.] seq 10"},
        DecodeCase{"udp_first_fragment",
                   "0800 4500 0054 0000 2000 40 11 0000 0af40005 0af40006 0035 1000 0000 0000",
                   "IPv4 10.244.0.5 > 10.244.0.6 ttl 64 UDP 53 > 4096 first fragment"},
        DecodeCase{"later_fragment",
                   "0800 4500 0054 0000 00b9 40 11 0000 0af40005 0af40006 0035 1000 0000 0000",
                   "IPv4 10.244.0.5 > 10.244.0.6 ttl 64 fragment at 1480"},
        DecodeCase{"cut4", "0800 4500 0054", "IPv4 [cut]"},
        DecodeCase{"echo6", std::string("86dd ") + kIp6 + "8000 0000 0007 0001",
                   "IPv6 fd00::5 > fd00::6 hops 64 ICMPv6 echo request id 7 seq 1"},
        DecodeCase{
            "solicit",
            std::string("86dd ") + kIp6 + "8700 0000 00000000 fd000000000000000000000000000001",
            "IPv6 fd00::5 > fd00::6 hops 64 ICMPv6 neighbour solicitation for fd00::1"},
        DecodeCase{"extensions6",
                   "86dd 60000000 0040 00 40 fd000000000000000000000000000005 "
                   "fd000000000000000000000000000006 2c00 000000000000 1100 0001 00000001 "
                   "0035 1000 0000 0000",
                   "IPv6 fd00::5 > fd00::6 hops 64 UDP 53 > 4096"},
        DecodeCase{"arp", "0806 0001 0800 06 04 0001 020000000007 0af40005 000000000000 0af40001",
                   "ARP who has 10.244.0.1 tell 10.244.0.5"},
        DecodeCase{"vlan", std::string("8100 0064 0800 ") + kIp4 + "0000 0000 0007 0001",
                   "vlan 100 IPv4 10.244.0.5 > 10.244.0.6 ttl 64 ICMP echo reply id 7 seq 1"},
        DecodeCase{"ethertype", "88cc 0000", "ethertype 0x88cc"}),
    [](const auto& given) { return given.param.name; });

const DropTexts kReasons{{"source_ip4", "IPv4 source is not in the port's lease"}};

std::vector<uint64_t> packets_of(TraceGatherer& gatherer) {
  std::vector<uint64_t> numbers;
  while (const auto packet = gatherer.next()) numbers.push_back(packet->steps.front().packet);
  return numbers;
}

TEST(CtlTrace, APacketSplitOverTwoReadsIsOnePacket) {
  TraceGatherer gatherer(kReasons);
  gatherer.add(
      std::vector{trace_record(1, 0, "rx", "parse"), trace_record(1, 1, "parse", "route")});
  EXPECT_TRUE(packets_of(gatherer).empty());
  gatherer.add(std::vector{trace_record(1, 2, "tx", "sent"), trace_record(2, 0, "rx", "parse")});
  const auto packet = gatherer.next();
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->steps.size(), 3U);
  EXPECT_TRUE(packets_of(gatherer).empty());
  gatherer.finish();
  EXPECT_EQ(packets_of(gatherer), std::vector<uint64_t>{2});
}

TEST(CtlTrace, WorkersDoNotMix) {
  TraceGatherer gatherer(kReasons);
  std::vector records{trace_record(1, 0, "rx", "parse"), trace_record(1, 0, "rx", "parse"),
                      trace_record(1, 1, "tx", "sent"), trace_record(1, 1, "tx", "sent")};
  records[1].worker = records[3].worker = 1;
  gatherer.add(records);
  EXPECT_EQ(packets_of(gatherer).size(), 2U);
}

TEST(CtlTrace, TextShowsStagesVerdictAndChangedFrames) {
  const PortNames names{{7, "default/web"}};
  auto frame = [](api::TraceRecord record, const char* ttl) {
    const auto bytes = bytes_of(std::string(kEthernet) + "0800 4500 0054 0000 0000 " + ttl +
                                " 01 0000 0af40005 0af40006 0800 0000 0007 0001");
    std::ranges::copy(bytes, record.head.begin());
    record.head_length = static_cast<uint16_t>(bytes.size());
    return record;
  };
  TracedPacket packet{{frame(trace_record(1, 0, "rx", "parse"), "40"),
                       frame(trace_record(1, 1, "parse", "rewrite"), "40"),
                       frame(trace_record(1, 2, "rewrite", "tx"), "3f"),
                       frame(trace_record(1, 3, "tx", "sent"), "3f")}};
  packet.steps.back().out_key = 9;
  const std::string macs = "02:00:00:00:00:07 > 02:77:65:69:72:01 ";
  EXPECT_EQ(traced_packet_text(packet, names, kReasons),
            "packet 1 on worker 0 at 1.500000 from default/web (key 7)\n"
            "  rx           -> parse           " +
                macs +
                "IPv4 10.244.0.5 > 10.244.0.6 ttl 64 ICMP echo request id 7 seq 1, 98 bytes\n"
                "  parse        -> rewrite\n"
                "  rewrite      -> tx              " +
                macs +
                "IPv4 10.244.0.5 > 10.244.0.6 ttl 63 ICMP echo request id 7 seq 1, 98 bytes\n"
                "  tx           -> sent\n"
                "  sent to key 9\n\n");
}

TEST(CtlTrace, DropIsNamedAndExplained) {
  const TracedPacket packet{
      {trace_record(1, 0, "rx", "parse"), trace_record(1, 1, "source_check", "source_ip4")}};
  EXPECT_NE(traced_packet_text(packet, {}, kReasons)
                .find("dropped, source_ip4: IPv4 source is not in the port's lease"),
            std::string::npos);
  const Json json = traced_packet_json(packet, {}, kReasons);
  EXPECT_EQ(json["outcome"], "dropped");
  EXPECT_EQ(json["drop"]["name"], "source_ip4");
  EXPECT_EQ(json["steps"].size(), 2U);
}

TEST(CtlTrace, AnIcmpErrorIsNotTheForwardedPacket) {
  TracedPacket packet{{trace_record(1, 0, "rewrite", "icmp_error"),
                       trace_record(1, 1, "icmp_error", "route"),
                       trace_record(1, 2, "tx", "sent")}};
  packet.steps.back().out_key = 7;
  EXPECT_EQ(traced_packet_json(packet, {}, kReasons)["outcome"], "answered");
  EXPECT_NE(traced_packet_text(packet, {}, kReasons)
                .find("not forwarded: an ICMP error was sent to key 7"),
            std::string::npos);
}

TEST(CtlTrace, HeadLengthBeyondTheRecordIsCut) {
  TracedPacket packet{{trace_record(1, 0, "rx", "parse")}};
  packet.steps[0].head_length = 65535;
  EXPECT_EQ(traced_packet_json(packet, {}, kReasons)["steps"][0]["head"].get<std::string>().size(),
            2 * packet.steps[0].head.size());
}

}  // namespace
}  // namespace weir::ctl
