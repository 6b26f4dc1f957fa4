// The forwarding table against the model, and at its limits.
#include "dataplane/tables/fib.h"

#include <gtest/gtest.h>

#include "tests/tables/fib_model.h"

namespace weir::dataplane {
namespace {

template <class T>
class FibTest : public testing::Test {
 protected:
  static constexpr size_t kBytes = std::tuple_size_v<typename T::Key>;
  using Key = typename T::Key;
  using Reference = FibModel<kBytes>;

  static Key key(std::initializer_list<uint8_t> bytes) {
    Key out{};
    std::copy(bytes.begin(), bytes.end(), out.begin());
    return out;
  }
  // Of the last byte's node: the same address but for that byte.
  static Key host(uint8_t last) {
    Key out = key({10, 1, 2});
    out[kBytes - 1] = last;
    return out;
  }
  static std::map<typename Reference::Prefix, uint32_t> contents(const T& fib) {
    std::map<typename Reference::Prefix, uint32_t> all;
    fib.for_each([&](const Key& prefix, uint8_t length, uint32_t next_hop) {
      EXPECT_TRUE(all.emplace(typename Reference::Prefix{length, prefix}, next_hop).second);
    });
    return all;
  }
  static void expect_same(const T& fib, const Reference& model, FibCases<kBytes>& cases,
                          int samples) {
    for (int i = 0; i < samples; ++i) {
      const Key address = cases.address();
      ASSERT_EQ(fib.lookup(address), model.lookup(address));
    }
  }

  Rcu rcu_{1};
};

using Tables = testing::Types<Fib4, Fib6>;
TYPED_TEST_SUITE(FibTest, Tables);

TYPED_TEST(FibTest, AnswersLikeTheModelThroughChanges) {
  using Model = FibModel<TestFixture::kBytes>;
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    TypeParam fib(this->rcu_);
    Model model;
    FibCases<TestFixture::kBytes> cases(seed);
    for (int step = 0; step < 6000; ++step) {
      const auto address = cases.address();
      const uint8_t length = cases.length();
      const typename Model::Prefix prefix{length, Model::mask(address, length)};
      if (cases.number() % 3 != 0) {
        const uint32_t next_hop = cases.next_hop();
        ASSERT_TRUE(fib.set(address, length, next_hop));
        model.routes[prefix] = next_hop;
      } else {
        ASSERT_EQ(fib.erase(address, length), model.routes.erase(prefix) > 0);
      }
      ASSERT_EQ(fib.size(), model.routes.size());
      ASSERT_EQ(fib.lookup(address), model.lookup(address)) << "seed " << seed << " step " << step;
      TestFixture::expect_same(fib, model, cases, 4);
      if (step % 50 == 0) this->rcu_.reclaim();
      if (step % 2000 == 0) {
        ASSERT_EQ(TestFixture::contents(fib), model.routes);
      }
    }
    ASSERT_EQ(TestFixture::contents(fib), model.routes);
    for (const auto& [prefix, next_hop] : model.routes) {
      ASSERT_EQ(fib.find(prefix.second, prefix.first), next_hop);
    }
    while (!model.routes.empty()) {
      const auto prefix = model.routes.begin()->first;
      model.routes.erase(model.routes.begin());
      ASSERT_TRUE(fib.erase(prefix.second, prefix.first));
      TestFixture::expect_same(fib, model, cases, 2);
    }
    this->rcu_.reclaim();
    EXPECT_EQ(fib.nodes_in_use(), 0U);
    EXPECT_EQ(fib.size(), 0U);
  }
}

TYPED_TEST(FibTest, ABatchAnswersLikeSingleLookups) {
  TypeParam fib(this->rcu_);
  FibCases<TestFixture::kBytes> cases(11);
  for (int i = 0; i < 3000; ++i)
    ASSERT_TRUE(fib.set(cases.address(), cases.length(), cases.next_hop()));
  for (size_t count = 0; count <= 70; ++count) {
    std::vector<typename TypeParam::Key> keys(count);
    for (auto& key : keys) key = cases.address();
    std::vector<uint32_t> out(count + 1, 0xdeadU);
    fib.lookup(keys.data(), out.data(), count);
    for (size_t i = 0; i < count; ++i) ASSERT_EQ(out[i], fib.lookup(keys[i]));
    EXPECT_EQ(out[count], 0xdeadU);
  }
}

TYPED_TEST(FibTest, HostRoutesUnderCoveringPrefixesFallBackInOrder) {
  TypeParam fib(this->rcu_);
  constexpr uint8_t kHost = TestFixture::kBytes * 8;
  const auto host = TestFixture::host(77);
  ASSERT_TRUE(fib.set(host, 0, 1));
  ASSERT_TRUE(fib.set(host, 8, 2));
  ASSERT_TRUE(fib.set(host, 24, 3));
  ASSERT_TRUE(fib.set(host, kHost - 4, 4));
  ASSERT_TRUE(fib.set(host, kHost, 5));
  const auto neighbour = TestFixture::host(78);
  EXPECT_EQ(fib.lookup(host), 5U);
  EXPECT_EQ(fib.lookup(neighbour), 4U);
  ASSERT_TRUE(fib.erase(host, kHost));
  EXPECT_EQ(fib.lookup(host), 4U);
  ASSERT_TRUE(fib.erase(host, 24));
  EXPECT_EQ(fib.lookup(host), 4U);
  ASSERT_TRUE(fib.erase(host, kHost - 4));
  EXPECT_EQ(fib.lookup(host), 2U);
  ASSERT_TRUE(fib.erase(host, 8));
  EXPECT_EQ(fib.lookup(host), 1U);
  ASSERT_TRUE(fib.erase(host, 0));
  EXPECT_EQ(fib.lookup(host), 0U);
  EXPECT_FALSE(fib.erase(host, 0));
}

TYPED_TEST(FibTest, ACrowdedNodeHoldsAllItsHosts) {
  TypeParam fib(this->rcu_);
  constexpr uint8_t kHost = TestFixture::kBytes * 8;
  for (unsigned i = 0; i < 256; ++i) {
    ASSERT_TRUE(fib.set(TestFixture::host(static_cast<uint8_t>(i)), kHost, 1000 + i));
    for (unsigned j = 0; j < 256; ++j) {
      ASSERT_EQ(fib.lookup(TestFixture::host(static_cast<uint8_t>(j))), j <= i ? 1000 + j : 0) << i;
    }
  }
  ASSERT_TRUE(fib.set(TestFixture::host(0), 24, 7));
  for (unsigned i = 0; i < 256; ++i) {
    ASSERT_TRUE(fib.erase(TestFixture::host(static_cast<uint8_t>(i)), kHost));
    for (unsigned j = 0; j < 256; ++j) {
      ASSERT_EQ(fib.lookup(TestFixture::host(static_cast<uint8_t>(j))), j > i ? 1000 + j : 7) << i;
    }
  }
  this->rcu_.reclaim();
  EXPECT_EQ(fib.nodes_in_use(), 0U);
}

TYPED_TEST(FibTest, BitsPastTheLengthAreIgnored) {
  TypeParam fib(this->rcu_);
  ASSERT_TRUE(fib.set(TestFixture::host(0x5f), TestFixture::kBytes * 8 - 4, 9));
  EXPECT_EQ(fib.lookup(TestFixture::host(0x50)), 9U);
  EXPECT_EQ(fib.lookup(TestFixture::host(0x60)), 0U);
  EXPECT_EQ(fib.find(TestFixture::host(0x51), TestFixture::kBytes * 8 - 4), 9U);
}

TYPED_TEST(FibTest, BadRequestsAreRefused) {
  TypeParam fib(this->rcu_);
  const auto host = TestFixture::host(1);
  EXPECT_EQ(fib.set(host, TestFixture::kBytes * 8 + 1, 1).error().code,
            ErrorCode::invalid_argument);
  EXPECT_EQ(fib.set(host, 8, 0).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(fib.set(host, 8, 1U << 31).error().code, ErrorCode::invalid_argument);
  EXPECT_FALSE(fib.erase(host, TestFixture::kBytes * 8 + 1));
  EXPECT_FALSE(fib.find(host, 255));
  EXPECT_EQ(fib.size(), 0U);
}

TYPED_TEST(FibTest, AFullTableRefusesAndStaysWhole) {
  using Model = FibModel<TestFixture::kBytes>;
  for (const uint32_t cells : {40U, 200U, 1000U}) {
    TypeParam fib(this->rcu_, {.max_cells = cells, .reserve_cells = 20});
    Model model;
    FibCases<TestFixture::kBytes> cases(cells);
    int refused = 0;
    while (refused < 200) {
      const auto address = cases.address();
      const uint8_t length = cases.length();
      const uint32_t next_hop = cases.next_hop();
      const Status status = fib.set(address, length, next_hop);
      if (status) {
        model.routes[{length, Model::mask(address, length)}] = next_hop;
      } else {
        ASSERT_EQ(status.error().code, ErrorCode::no_memory);
        ++refused;
      }
      ASSERT_EQ(fib.lookup(address), model.lookup(address));
    }
    ASSERT_EQ(TestFixture::contents(fib), model.routes);
    TestFixture::expect_same(fib, model, cases, 2000);
    // Erasures work with no grace period in between.
    while (!model.routes.empty()) {
      const auto prefix = std::prev(model.routes.end())->first;
      ASSERT_TRUE(fib.erase(prefix.second, prefix.first));
      model.routes.erase(prefix);
      this->rcu_.reclaim();
      TestFixture::expect_same(fib, model, cases, 2);
    }
    this->rcu_.reclaim();
    EXPECT_EQ(fib.nodes_in_use(), 0U);
    EXPECT_TRUE(fib.set(TestFixture::host(1), TestFixture::kBytes * 8, 1));
  }
}

TYPED_TEST(FibTest, AReplacedNodeWaitsForEveryWorker) {
  TypeParam fib(this->rcu_);
  constexpr uint8_t kHost = TestFixture::kBytes * 8;
  this->rcu_.register_worker(0);
  this->rcu_.online(0);
  ASSERT_TRUE(fib.set(TestFixture::host(1), kHost, 1));
  const uint32_t nodes = fib.nodes_in_use();
  ASSERT_TRUE(fib.set(TestFixture::host(9), kHost, 2));  // other runs: a new node
  this->rcu_.reclaim();
  EXPECT_EQ(fib.nodes_in_use(), nodes + 1);
  this->rcu_.quiescent(0);
  this->rcu_.reclaim();
  EXPECT_EQ(fib.nodes_in_use(), nodes);
  this->rcu_.offline(0);
  this->rcu_.unregister_worker(0);
}

TYPED_TEST(FibTest, ANewNextHopForAKnownPrefixNeedsNoNode) {
  TypeParam fib(this->rcu_);
  constexpr uint8_t kHost = TestFixture::kBytes * 8;
  ASSERT_TRUE(fib.set(TestFixture::host(1), kHost, 1));
  const uint32_t nodes = fib.nodes_in_use();
  ASSERT_TRUE(fib.set(TestFixture::host(1), kHost, 2));
  ASSERT_TRUE(fib.set(TestFixture::host(1), 24, 3));
  ASSERT_TRUE(fib.set(TestFixture::host(1), 0, 4));
  EXPECT_EQ(this->rcu_.pending(), 0U);
  EXPECT_EQ(fib.nodes_in_use(), nodes);
}

TYPED_TEST(FibTest, PendingReclamationOutlivesTheTable) {
  {
    TypeParam fib(this->rcu_);
    for (unsigned i = 0; i < 100; ++i) {
      ASSERT_TRUE(
          fib.set(TestFixture::host(static_cast<uint8_t>(i * 2)), TestFixture::kBytes * 8, 1 + i));
    }
  }
  EXPECT_EQ(this->rcu_.reclaim(), 0U);
}

TYPED_TEST(FibTest, MemoryIsReported) {
  TypeParam fib(this->rcu_);
  const size_t empty = fib.memory_bytes();
  ASSERT_TRUE(fib.set(TestFixture::host(1), TestFixture::kBytes * 8, 1));
  EXPECT_GT(fib.memory_bytes(), empty);
  EXPECT_LT(fib.memory_bytes(), 16U << 20);
}

TEST(Fib6, DistantPrefixesAreBridgedAndRejoined) {
  Rcu rcu(1);
  Fib6 fib(rcu);
  Fib6::Key a{0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  Fib6::Key b = a;
  ASSERT_TRUE(fib.set(a, 128, 1));  // 12 bytes from the root: a bridge and a leaf
  EXPECT_EQ(fib.nodes_in_use(), 2U);
  for (size_t byte = 3; byte < 15; ++byte) {
    b = a;
    b[byte] ^= 0x10;
    EXPECT_EQ(fib.lookup(b), 0U);
    ASSERT_TRUE(fib.set(b, 128, 2));
    EXPECT_EQ(fib.lookup(a), 1U) << byte;
    EXPECT_EQ(fib.lookup(b), 2U) << byte;
    ASSERT_TRUE(fib.erase(b, 128));
    EXPECT_EQ(fib.lookup(a), 1U) << byte;
    EXPECT_EQ(fib.lookup(b), 0U) << byte;
    rcu.reclaim();
    EXPECT_LE(fib.nodes_in_use(), 3U) << byte;
  }
  ASSERT_TRUE(fib.erase(a, 128));
  rcu.reclaim();
  EXPECT_EQ(fib.nodes_in_use(), 0U);
}

}  // namespace
}  // namespace weir::dataplane
