// Random operations on a connection table beside a model of plain maps. WEIR_TEST_SEED and
// WEIR_TEST_CHANGES choose others and more.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>

#include "tests/tables/connection_fixture.h"

namespace weir::dataplane {
namespace {

uint64_t number_from(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

struct KeyLess {
  bool operator()(const FlowKey& a, const FlowKey& b) const {
    return std::memcmp(&a, &b, sizeof a) < 0;
  }
};

struct Entry {
  FlowKey forward;
  FlowKey reverse;
  BackendId backend = kNoBackend;
  uint16_t owner = kNoOwner;
  Ticks seen = 0;
  bool replied = false;
  bool acknowledged = false;
  bool fins[2] = {};
  bool reset = false;

  uint32_t seconds() const {
    if (forward.protocol == kProtoUdp) return replied ? 180 : 30;
    if (forward.protocol == kProtoSctp) return replied ? 210 : 60;
    if (reset) return 10;
    if (fins[0] && fins[1]) return 30;
    return replied && acknowledged ? 86400 : 60;
  }
};

class ConnectionModelTest : public ConnectionFixture {
 protected:
  static constexpr uint32_t kQuota = 40;
  static constexpr uint16_t kFirstPort = 600;
  static constexpr uint16_t kLastPort = 603;
  using Live = std::map<FlowKey, size_t, KeyLess>;  // either direction's key -> entry

  ConnectionModelTest() : ConnectionFixture(4096), random_(number_from("WEIR_TEST_SEED", 1)) {
    for (uint32_t i = 0; i < 3; ++i) backends_.push_back(add_backend(kBackend + i));
    table_.set_quota(kQuota);
  }

  uint32_t below(uint32_t limit) { return static_cast<uint32_t>(random_() % limit); }
  NewConnection random_flow() {
    static constexpr std::array<uint8_t, 3> kProtocols{kProtoTcp, kProtoUdp, kProtoSctp};
    NewConnection wanted;
    wanted.key = udp_key(kClient + below(4), 1 + below(6), kVip + below(3), 53);
    wanted.key.protocol = kProtocols[below(3)];
    wanted.backend_id = backends_[below(3)];
    wanted.backend = pool_.address(wanted.backend_id).address;
    wanted.backend_port = pool_.address(wanted.backend_id).port;
    wanted.owner = static_cast<uint16_t>(below(3));
    wanted.tcp_flags = below(4) == 0 ? 0x10 : kTcpSyn;
    if (below(3) == 0) {
      wanted.masquerade = ip4_bytes(kMasquerade);
      wanted.masquerade_first = kFirstPort;
      wanted.masquerade_last = kLastPort;
    }
    return wanted;
  }
  FlowKey reverse_of(const NewConnection& wanted, unsigned port) const {
    const bool masqueraded = wanted.masquerade_first != 0;
    return {.source = wanted.backend,
            .destination = masqueraded ? wanted.masquerade : wanted.key.source,
            .source_port = wanted.backend_port,
            .destination_port = masqueraded ? wire_port(port) : wanted.key.source_port,
            .protocol = wanted.key.protocol,
            .family = Family::ip4};
  }
  Outcome expected(const NewConnection& wanted) const {
    const auto found = live_.find(wanted.key);
    if (found != live_.end()) {
      return entries_[found->second].forward == wanted.key ? Outcome::exists : Outcome::tuple_taken;
    }
    bool free = false;
    for (unsigned port = kFirstPort; port <= kLastPort; ++port)
      free |= !live_.contains(reverse_of(wanted, port));
    if (!free) return Outcome::tuple_taken;
    const auto charged = charged_.find(wanted.owner);
    return charged != charged_.end() && charged->second >= kQuota ? Outcome::over_quota
                                                                  : Outcome::added;
  }

  void step_add() {
    const NewConnection wanted = random_flow();
    const auto added = table_.add(0, wanted, now_);
    ASSERT_EQ(added.outcome, expected(wanted));
    if (added.outcome == Outcome::exists) {
      EXPECT_EQ(added.connection->key(), wanted.key);
    }
    if (added.outcome != Outcome::added) return;
    const Connection& connection = *added.connection;
    ASSERT_EQ(connection.key(), wanted.key);
    ASSERT_FALSE(live_.contains(connection.reverse_key()));
    ASSERT_EQ(connection.reverse_key(),
              reverse_of(wanted, wire_port(connection.reverse_key().destination_port)));
    const Entry entry{.forward = wanted.key,
                      .reverse = connection.reverse_key(),
                      .backend = wanted.backend_id,
                      .owner = wanted.owner,
                      .seen = now_,
                      .acknowledged = (wanted.tcp_flags & kTcpSyn) == 0};
    live_[entry.forward] = live_[entry.reverse] = entries_.size();
    entries_.push_back(entry);
    ++charged_[wanted.owner];
  }
  void step_touch() {
    if (live_.empty()) return;
    const auto picked = std::next(live_.begin(), below(static_cast<uint32_t>(live_.size())));
    Entry& entry = entries_[picked->second];
    const auto match = find(picked->first);
    const bool forward = match.direction == Direction::forward;
    static constexpr std::array<uint8_t, 5> kFlags{0x10, 0x10, 0x11, 0x02, 0x14};
    const uint8_t flags = entry.forward.protocol == kProtoTcp ? kFlags[below(5)] : 0;
    table_.touch(*match.connection, match.direction, flags, now_);
    entry.seen = now_;
    if (!forward) entry.replied = true;
    if (forward && (flags & kTcpSyn) == 0) entry.acknowledged = true;
    if ((flags & kTcpFin) != 0) entry.fins[forward ? 0 : 1] = true;
    if ((flags & kTcpRst) != 0) entry.reset = true;
  }
  void step_kill() {
    if (live_.empty()) return;
    const auto picked = std::next(live_.begin(), below(static_cast<uint32_t>(live_.size())));
    table_.kill(*find(picked->first).connection);
    forget(picked->second);
  }
  void step_time() {
    advance(below(12));
    reap();
    for (size_t i = 0; i < entries_.size(); ++i) {
      const bool is_live = live_.contains(entries_[i].forward) && live_[entries_[i].forward] == i;
      if (is_live && now_ - entries_[i].seen > entries_[i].seconds() * kTicksPerSecond) forget(i);
    }
    pass_grace();
    for (const uint16_t owner : ended_) --charged_[owner];
    ended_.clear();
  }
  void forget(size_t index) {
    const Entry& entry = entries_[index];
    live_.erase(entry.forward);
    live_.erase(entry.reverse);
    ended_.push_back(entry.owner);
  }

  void check_all() {
    const NewConnection wanted = random_flow();
    EXPECT_EQ(static_cast<bool>(find(wanted.key)), live_.contains(wanted.key));
    for (const auto& [key, index] : live_) {
      const auto match = find(key);
      ASSERT_TRUE(match);
      EXPECT_TRUE(table_.filter().may_have(key));
      EXPECT_EQ(match.connection->key(), entries_[index].forward);
      EXPECT_EQ(match.direction == Direction::forward, key == entries_[index].forward);
    }
    for (const auto& [owner, count] : charged_) EXPECT_EQ(table_.connections_of(owner), count);
    uint32_t listed = 0;
    table_.query({.limit = 10000}, now_, [&](const api::ConnectionState&, uint16_t) { ++listed; });
    EXPECT_EQ(listed * 2, live_.size());
  }

  std::mt19937_64 random_;
  std::vector<BackendId> backends_;
  std::vector<Entry> entries_;
  Live live_;
  std::map<uint16_t, uint32_t> charged_;  // owner -> records, those that wait included
  std::vector<uint16_t> ended_;           // owners of records that wait
};

TEST_F(ConnectionModelTest, AnswersAsTheModelDoes) {
  const uint64_t steps = number_from("WEIR_TEST_CHANGES", 20000);
  for (uint64_t step = 0; step < steps && !HasFailure(); ++step) {
    SCOPED_TRACE("step " + std::to_string(step));
    const uint32_t choice = below(100);
    if (choice < 40) {
      step_add();
    } else if (choice < 80) {
      step_touch();
    } else if (choice < 90) {
      step_kill();
    } else {
      step_time();
    }
    if (step % 16 == 0) check_all();
  }
  advance(100000);
  reap();
  pass_grace();
  reap();
  EXPECT_TRUE(table_.empty());
  for (const Entry& entry : entries_) {
    EXPECT_FALSE(table_.filter().may_have(entry.forward));
    EXPECT_FALSE(table_.filter().may_have(entry.reverse));
  }
  for (const BackendId backend : backends_) EXPECT_EQ(pool_.connections(backend), 0U);
}

}  // namespace
}  // namespace weir::dataplane
