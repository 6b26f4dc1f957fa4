// Workers add, find and end connections of few flows at once while the main thread reaps.
//
// WEIR_TEST_CHANGES: see workers.h.
#include <gtest/gtest.h>

#include <random>

#include "tests/tables/connection_fixture.h"
#include "tests/tables/workers.h"

namespace weir::dataplane {
namespace {

constexpr uint32_t kFlows = 24;
constexpr uint32_t kBackends = 2;
constexpr uint32_t kFirstPort = 700;
constexpr uint32_t kMasqueradePorts = 16;
constexpr uint16_t kOwner = 9;

class ConnectionConcurrentTest : public testing::Test {
 protected:
  using Outcome = ConnectionTable::Outcome;

  ConnectionConcurrentTest() : table_(rcu_, pool_, {.capacity = 700, .workers = kWorkers}) {
    table_.prepare();
    table_.set_quota(200);
    for (uint32_t i = 0; i < kBackends; ++i) {
      const BackendAddress address{
          .address = ip4_bytes(kBackend + i), .port = wire_port(80), .family = Family::ip4};
      backends_.push_back(*pool_.add(1, address));
    }
  }

  static FlowKey key_of(uint32_t flow) { return udp_key(kClient, 1 + flow, kVip, 53); }
  NewConnection wanted(uint32_t flow, uint64_t random) const {
    const BackendId id = backends_[random % kBackends];
    NewConnection connection{.key = key_of(flow),
                             .backend = pool_.address(id).address,
                             .backend_port = pool_.address(id).port,
                             .backend_id = id,
                             .owner = kOwner};
    // A third keeps the client's own port; two such flows never look alike.
    if (flow % 3 != 0) {
      connection.masquerade = ip4_bytes(kMasquerade);
      connection.masquerade_first = kFirstPort;
      connection.masquerade_last = kFirstPort + kMasqueradePorts - 1;
    }
    return connection;
  }
  ConnectionTable::Match find(const FlowKey& key) { return table_.find(key, table_.hash(key)); }

  // Where a live connection's view by its backend is registered: one at most has each.
  std::atomic<uint32_t>* reverse_claim(const Connection& connection) {
    if (!connection.masqueraded()) return nullptr;
    const uint32_t port = wire_port(connection.reverse_key().destination_port) - kFirstPort;
    const uint32_t backend = connection.backend_id == backends_[0] ? 0 : 1;
    return &reverse_claims_[backend * kMasqueradePorts + port];
  }
  std::string fault_in(const Connection& connection, const FlowKey& key) {
    if (connection.key() != key) return "a record of another flow";
    for (const FlowKey& each : connection.keys) {
      // One that is found in spite of a denial before was open all the time.
      if (!table_.filter().may_have(each) && find(each).connection == &connection)
        return "packets of an open connection that pass it by";
    }
    if (connection.reverse_key().source != pool_.address(connection.backend_id).address)
      return "a torn record";
    return "";
  }

  std::string add_one(uint32_t worker, uint32_t flow, uint64_t random) {
    const auto added = table_.add(worker, wanted(flow, random), 0);
    if (added.connection == nullptr) return "";
    if (added.outcome == Outcome::added) {
      // Registered before others can end it.
      auto* claim = reverse_claim(*added.connection);
      if (claim != nullptr && claim->fetch_add(1) != 0) return "one masquerade port twice";
      if (owners_[flow].exchange(added.connection) != nullptr) return "two connections of one flow";
    }
    return fault_in(*added.connection, key_of(flow));
  }
  // Only who takes the owner's mark may end it, so that no mark outlives its connection.
  void end_one(uint32_t flow) {
    Connection* connection = owners_[flow].exchange(nullptr);
    if (connection == nullptr) return;
    if (auto* claim = reverse_claim(*connection); claim != nullptr) claim->fetch_sub(1);
    table_.kill(*connection);
  }
  void drain() {
    table_.reap(0, UINT32_MAX);
    rcu_.reclaim();
  }

  Rcu rcu_{kWorkers};
  BackendPool pool_{rcu_};
  ConnectionTable table_;
  std::vector<BackendId> backends_;
  std::array<std::atomic<Connection*>, kFlows> owners_{};
  std::array<std::atomic<uint32_t>, kBackends * kMasqueradePorts> reverse_claims_{};
};

TEST_F(ConnectionConcurrentTest, EachFlowHasOneConnectionAndEachTupleOneOwner) {
  std::array<std::mt19937_64, kWorkers> random;
  for (uint32_t worker = 0; worker < kWorkers; ++worker) random[worker].seed(worker + 1);
  const auto packet = [&](uint32_t worker) -> std::string {
    const uint64_t dice = random[worker]();
    const auto flow = static_cast<uint32_t>(dice % kFlows);
    const FlowKey key = key_of(flow);
    const auto match = find(key);
    std::string fault;
    if (match) fault = fault_in(*match.connection, key);
    if (match && dice >> 60 != 0) table_.touch(*match.connection, match.direction, 0, 0);
    if (!match) fault = add_one(worker, flow, dice >> 32);
    if (dice >> 62 == 0) end_one(flow);
    if (dice >> 56 == 0) std::this_thread::yield();
    // Killed or unlinked meanwhile, a record stays what it was until this worker's next turn.
    if (match && fault.empty()) fault = fault_in(*match.connection, key);
    return fault;
  };
  Workers workers(rcu_, [&](uint32_t worker) {
    std::string fault;
    for (int i = 0; i < 64 && fault.empty(); ++i) fault = packet(worker);
    return fault;
  });
  workers.change([&](uint64_t) {
    table_.reap(0, UINT32_MAX);
    rcu_.reclaim();
  });
  EXPECT_EQ(workers.failure(), "");
  EXPECT_GT(table_.stats().created, 1000U);
  for (uint32_t flow = 0; flow < kFlows; ++flow) end_one(flow);
  drain();
  drain();
  EXPECT_TRUE(table_.empty());
  EXPECT_EQ(table_.connections_of(kOwner), 0U);
  for (const BackendId backend : backends_) EXPECT_EQ(pool_.connections(backend), 0U);
}

// Two packets of a new flow at the same moment on two workers.
TEST_F(ConnectionConcurrentTest, OneOfTwoWorkersWins) {
  std::array<std::atomic<uint64_t>, 2> at{};
  std::array<std::atomic<Connection*>, 2> results{};
  std::atomic<uint32_t> winners{0};
  const uint64_t rounds = changes() / 10;  // three meetings each, which a busy machine delays
  const auto meet = [&](uint32_t worker, uint64_t turn) {
    at[worker].store(turn);
    for (unsigned spins = 1; at[1 - worker].load() < turn; ++spins) {
      if (spins % 1024 == 0) std::this_thread::yield();
    }
  };
  std::string fault;
  const auto run = [&](uint32_t worker) {
    rcu_.online(worker);
    for (uint64_t round = 0; round < rounds; ++round) {
      meet(worker, round * 3 + 1);
      const auto flow = static_cast<uint32_t>(round % kFlows);
      const auto added = table_.add(worker, wanted(flow, worker), 0);
      results[worker].store(added.connection);
      if (added.outcome == Outcome::added) winners.fetch_add(1);
      meet(worker, round * 3 + 2);
      if (worker == 0) {
        if (winners.exchange(0) != 1) fault = "not one winner in round " + std::to_string(round);
        if (results[0].load() != results[1].load())
          fault = "two answers in round " + std::to_string(round);
        for (const auto& result : results) {
          if (result.load() != nullptr) table_.kill(*result.load());
        }
      }
      rcu_.quiescent(worker);
      if (worker == 0) drain();
      meet(worker, round * 3 + 3);
    }
    rcu_.offline(worker);
  };
  rcu_.register_worker(0);
  rcu_.register_worker(1);
  std::thread other([&] { run(1); });
  run(0);
  other.join();
  rcu_.unregister_worker(0);
  rcu_.unregister_worker(1);
  EXPECT_EQ(fault, "");
}

TEST_F(ConnectionConcurrentTest, AnAffinityMovesAndHoldsItsBackend) {
  constexpr uint32_t kClients = 4;
  std::array<std::mt19937_64, kWorkers> random;
  for (uint32_t worker = 0; worker < kWorkers; ++worker) random[worker].seed(worker + 1);
  Workers workers(rcu_, [&](uint32_t worker) -> std::string {
    const uint64_t dice = random[worker]();
    const Ip6Bytes client = ip4_bytes(static_cast<uint32_t>(kClient + dice % kClients));
    const BackendId id = table_.find_affinity(Family::ip4, client, 1, 0);
    if (id != kNoBackend && id != backends_[0] && id != backends_[1]) return "an unknown backend";
    if (dice >> 62 != 0) return "";
    table_.set_affinity(worker,
                        {.client = client,
                         .family = Family::ip4,
                         .number = 1,
                         .backend_id = backends_[dice >> 32 & 1],
                         .owner = kOwner,
                         .seconds = 10},
                        0);
    return "";
  });
  workers.change([&](uint64_t) {
    table_.reap(0, UINT32_MAX);
    rcu_.reclaim();
  });
  EXPECT_EQ(workers.failure(), "");
  drain();
  EXPECT_LE(table_.stats().affinities, kClients);
  table_.reap(11 * kTicksPerSecond, UINT32_MAX);
  drain();
  EXPECT_EQ(table_.stats().affinities, 0U);
  EXPECT_EQ(table_.connections_of(kOwner), 0U);
  EXPECT_TRUE(table_.empty());
}

}  // namespace
}  // namespace weir::dataplane
