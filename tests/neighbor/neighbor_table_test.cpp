#include "dataplane/neighbor/table.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/dataplane/lab.h"

namespace weir::dataplane::test {
namespace {

using api::NeighborPhase;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr uint64_t kUplink = 7;
constexpr uint64_t kOther = 8;
const MacAddress kFirst = mac("02:00:00:00:00:01");
const MacAddress kSecond = mac("02:00:00:00:00:02");

// Writes down what the table makes happen.
struct Recorder final : NeighborEvents {
  void ask(uint64_t, const IpAddress& address, const MacAddress* known) override {
    log.push_back("ask " + to_string(address) + (known != nullptr ? " of " + to_string(*known) : ""));
  }
  void changed(uint64_t, const IpAddress& address, NeighborPhase phase, const MacAddress& mac) override {
    phases[to_string(address)] = phase;
    macs[to_string(address)] = mac;
  }
  void forgotten(const IpAddress& address) override { phases.erase(to_string(address)); }
  void resume(HeldPacket& packet) override { resumed.push_back(bytes_of(packet.view())); }
  void drop(const Packet&, Drop reason) override { ++drops[reason]; }

  std::vector<std::string> take() { return std::exchange(log, {}); }

  std::vector<std::string> log;
  std::map<std::string, NeighborPhase> phases;
  std::map<std::string, MacAddress> macs;
  std::vector<Bytes> resumed;
  std::map<Drop, int> drops;
};

class NeighborTableTest : public testing::Test {
 protected:
  void hold(const std::string& to, uint64_t port = kUplink) {
    Packet packet;
    lab_.fill(packet, frame_);
    table_.hold(port, *parse_address(to), packet, now_);
  }
  void hear(const std::string& from, const MacAddress& mac, bool answer = true, uint64_t port = kUplink) {
    table_.hear(port, {.address = *parse_address(from), .mac = mac, .answer = answer}, now_);
  }
  void pass(NeighborTable::Clock::duration time) {
    now_ += time;
    table_.tick(now_);
  }
  void make_gateway(const std::string& address) { table_.set_gateways({{*parse_address(address), kUplink}}, now_); }
  std::string address(size_t number) {
    return "10.0." + std::to_string(number / 250) + "." + std::to_string(number % 250 + 1);
  }

  Lab lab_;
  Bytes frame_ = eth(kEtherIp4, ip4({}, udp(filler(400))));
  Recorder events_;
  NeighborTable table_{events_};
  NeighborTable::Time now_{seconds(100)};
};

TEST_F(NeighborTableTest, HoldsPacketsUntilTheAnswer) {
  hold("192.0.2.2");
  hold("192.0.2.2");
  EXPECT_EQ(events_.take(), std::vector<std::string>{"ask 192.0.2.2"});
  EXPECT_TRUE(events_.resumed.empty());
  hear("192.0.2.2", kFirst);
  EXPECT_EQ(events_.resumed, (std::vector<Bytes>{frame_, frame_}));
  EXPECT_EQ(events_.phases["192.0.2.2"], NeighborPhase::reachable);
  EXPECT_EQ(events_.macs["192.0.2.2"], kFirst);
}

TEST_F(NeighborTableTest, AsksThreeTimesThenRefuses) {
  hold("192.0.2.2");
  for (int second = 0; second < 2; ++second) pass(NeighborTable::kRetry);
  EXPECT_EQ(events_.take().size(), 3U);
  EXPECT_TRUE(events_.resumed.empty());
  pass(NeighborTable::kRetry);
  EXPECT_EQ(events_.phases["192.0.2.2"], NeighborPhase::failed);
  EXPECT_EQ(events_.resumed.size(), 1U);  // to its ICMP error
  pass(NeighborTable::kFailed);
  EXPECT_FALSE(events_.phases.contains("192.0.2.2"));
  EXPECT_TRUE(events_.take().empty());
}

TEST_F(NeighborTableTest, AFailedGatewayIsAskedForEver) {
  make_gateway("192.0.2.2");
  for (int i = 0; i < 60; ++i) pass(seconds(1));
  EXPECT_EQ(events_.phases["192.0.2.2"], NeighborPhase::failed);
  EXPECT_GE(events_.take().size(), 15U);
  hear("192.0.2.2", kFirst);
  EXPECT_EQ(events_.phases["192.0.2.2"], NeighborPhase::reachable);
}

TEST_F(NeighborTableTest, ProbesTheKnownMacThenEverybody) {
  hold("192.0.2.2");
  hear("192.0.2.2", kFirst);
  events_.take();
  pass(NeighborTable::kReachable);
  EXPECT_EQ(events_.phases["192.0.2.2"], NeighborPhase::probing);
  pass(NeighborTable::kRetry);
  pass(NeighborTable::kRetry);
  const std::string alone = "ask 192.0.2.2 of " + to_string(kFirst);
  EXPECT_EQ(events_.take(), (std::vector<std::string>{alone, alone, "ask 192.0.2.2"}));
  EXPECT_EQ(events_.macs["192.0.2.2"], kFirst);  // used meanwhile
  hear("192.0.2.2", kSecond);
  EXPECT_EQ(events_.phases["192.0.2.2"], NeighborPhase::reachable);
  EXPECT_EQ(events_.macs["192.0.2.2"], kSecond);
}

TEST_F(NeighborTableTest, LearnsNobodyWhoWasNotAskedFor) {
  hear("192.0.2.9", kFirst);
  hear("192.0.2.9", kFirst, false);
  EXPECT_TRUE(table_.list(now_).empty());
}

TEST_F(NeighborTableTest, AnUnaskedAnnouncementOnlyMakesItAsk) {
  hold("192.0.2.2");
  hear("192.0.2.2", kSecond, false);
  EXPECT_EQ(events_.phases["192.0.2.2"], NeighborPhase::incomplete);
  hear("192.0.2.2", kFirst);
  events_.take();
  hear("192.0.2.2", kSecond, false);
  EXPECT_EQ(events_.macs["192.0.2.2"], kFirst);
  EXPECT_EQ(events_.take(), std::vector<std::string>{"ask 192.0.2.2"});
}

TEST_F(NeighborTableTest, AnAnswerWithoutAQuestionMovesNothing) {
  hold("192.0.2.2");
  hear("192.0.2.2", kFirst);
  hear("192.0.2.2", kSecond);
  EXPECT_EQ(events_.macs["192.0.2.2"], kFirst);
}

TEST_F(NeighborTableTest, AnAnswerFromAnotherUplinkCountsNothing) {
  hold("192.0.2.2");
  hear("192.0.2.2", kFirst, true, kOther);
  EXPECT_EQ(events_.phases["192.0.2.2"], NeighborPhase::incomplete);
}

TEST_F(NeighborTableTest, HoldsSoManyPacketsForANeighbour) {
  for (size_t i = 0; i < NeighborTable::kMaxHeld + 3; ++i) hold("192.0.2.2");
  EXPECT_EQ(events_.drops[Drop::neighbor_held_full], 3);
  hear("192.0.2.2", kFirst);
  EXPECT_EQ(events_.resumed.size(), NeighborTable::kMaxHeld);
}

TEST_F(NeighborTableTest, HoldsSoManyPacketsOnAnUplink) {
  for (size_t i = 0; i < NeighborTable::kMaxHeldOnPort + 3; ++i) hold(address(i));
  EXPECT_EQ(events_.drops[Drop::neighbor_held_full], 3);
  hold("192.0.2.2", kOther);  // another's count is its own
  EXPECT_EQ(events_.drops[Drop::neighbor_held_full], 3);
}

TEST_F(NeighborTableTest, AFullTableGivesUpTheSilentOnes) {
  for (size_t i = 0; i < NeighborTable::kMaxNeighbors; ++i) hold(address(i));
  hold("192.0.2.2");
  EXPECT_EQ(events_.drops[Drop::neighbor_table_full], 1);
  hear(address(5), kFirst);
  for (int second = 0; second < 3; ++second) pass(NeighborTable::kRetry);
  hold("192.0.2.2");
  EXPECT_EQ(events_.drops[Drop::neighbor_table_full], 1);
  EXPECT_EQ(events_.phases[address(5)], NeighborPhase::reachable);
  EXPECT_EQ(table_.list(now_).size(), NeighborTable::kMaxNeighbors);
}

TEST_F(NeighborTableTest, GatewaysAreNeverGivenUp) {
  make_gateway("192.0.2.2");
  hear("192.0.2.2", kFirst);
  for (size_t i = 0; i + 1 < NeighborTable::kMaxNeighbors; ++i) {
    hold(address(i));
    hear(address(i), kSecond);
  }
  hold("192.0.2.3");
  EXPECT_EQ(events_.phases["192.0.2.2"], NeighborPhase::reachable);
  EXPECT_TRUE(events_.phases.contains("192.0.2.3"));
}

TEST_F(NeighborTableTest, WithoutALinkNobodyIsThere) {
  make_gateway("192.0.2.2");
  hear("192.0.2.2", kFirst);
  hold("192.0.2.3");
  table_.link_changed(kUplink, false, now_);
  EXPECT_EQ(events_.phases["192.0.2.2"], NeighborPhase::failed);
  EXPECT_EQ(events_.resumed.size(), 1U);
  events_.take();
  table_.link_changed(kUplink, true, now_);
  EXPECT_EQ(events_.take(), std::vector<std::string>{"ask 192.0.2.2"});
  pass(milliseconds(1));
  EXPECT_FALSE(events_.phases.contains("192.0.2.3"));
}

TEST_F(NeighborTableTest, AForgottenUplinkDropsWhatWaits) {
  hold("192.0.2.2");
  hold("192.0.2.3", kOther);
  table_.forget_port(kUplink);
  EXPECT_EQ(events_.drops[Drop::neighbor_gone], 1);
  EXPECT_EQ(table_.list(now_).size(), 1U);
}

}  // namespace
}  // namespace weir::dataplane::test
