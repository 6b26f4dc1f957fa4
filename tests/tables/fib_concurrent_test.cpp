// Workers look up while the writer changes the table. Every answer must be one that the
// address had at some moment of the lookup.
//
// WEIR_TEST_CHANGES: see workers.h.
#include <gtest/gtest.h>

#include <vector>

#include "dataplane/tables/fib.h"
#include "tests/tables/fib_model.h"
#include "tests/tables/workers.h"

namespace weir::dataplane {
namespace {

constexpr size_t kBurst = 64;

template <class T>
class FibConcurrentTest : public testing::Test {
 protected:
  static constexpr size_t kBytes = std::tuple_size_v<typename T::Key>;
  using Key = typename T::Key;

  static std::array<Key, kBurst> copies(const Key& key) {
    std::array<Key, kBurst> all;
    all.fill(key);
    return all;
  }

  Rcu rcu_{kWorkers};
  T fib_{rcu_};
};

using Tables = testing::Types<Fib4, Fib6>;
TYPED_TEST_SUITE(FibConcurrentTest, Tables);

// Prefixes come and go at random, each with its own next hops. An answer must come from a
// prefix that covers the address, and never from one above a prefix that always stays.
TYPED_TEST(FibConcurrentTest, AnswersComeFromPrefixesThatCoverTheAddress) {
  using Address = typename TypeParam::Key;
  using Reference = FibModel<TestFixture::kBytes>;
  struct Prefix {
    Address key;
    uint8_t length;
    bool stays;
    bool there = false;
  };
  FibCases<TestFixture::kBytes> cases(5);
  std::vector<Prefix> prefixes;
  std::map<typename Reference::Prefix, bool> known;
  while (prefixes.size() < 400) {
    const uint8_t length = cases.length();
    if (length > 0 && length < 10) continue;
    const Address key = Reference::mask(cases.address(), length);
    if (known.emplace(typename Reference::Prefix{length, key}, true).second) {
      prefixes.push_back({key, length, cases.number() % 8 == 0});
    }
  }
  std::vector<Address> addresses(600);
  for (Address& address : addresses) address = cases.address();
  // allowed[a][p]: prefix p may answer for address a.
  const auto covers = [](const Prefix& p, const Address& a) {
    return Reference::mask(a, p.length) == p.key;
  };
  std::vector<std::vector<bool>> allowed(addresses.size());
  std::vector<bool> may_be_none(addresses.size());
  for (size_t a = 0; a < addresses.size(); ++a) {
    int backstop = -1;
    for (const Prefix& p : prefixes) {
      if (p.stays && covers(p, addresses[a])) backstop = std::max<int>(backstop, p.length);
    }
    may_be_none[a] = backstop < 0;
    for (const Prefix& p : prefixes)
      allowed[a].push_back(covers(p, addresses[a]) && p.length >= backstop);
  }
  const auto next_hop = [](size_t prefix, uint64_t turn) {
    return static_cast<uint32_t>(1 + prefix * 4 + turn % 4);
  };
  const auto set = [&](size_t i, uint64_t turn) {
    ASSERT_TRUE(this->fib_.set(prefixes[i].key, prefixes[i].length, next_hop(i, turn)));
    prefixes[i].there = true;
  };
  for (size_t i = 0; i < prefixes.size(); ++i) {
    if (prefixes[i].stays) set(i, 0);
  }

  Workers workers(
      this->rcu_,
      [&, turn = std::array<uint64_t, kWorkers>{}](uint32_t worker) mutable -> std::string {
        std::array<uint32_t, 40> out;
        const size_t first = turn[worker]++ * 40 % addresses.size();
        this->fib_.lookup(&addresses[first], out.data(), out.size());
        for (size_t i = 0; i < out.size(); ++i) {
          for (const uint32_t answer : {out[i], this->fib_.lookup(addresses[first + i])}) {
            const bool right =
                answer == 0 ? may_be_none[first + i] : allowed[first + i][(answer - 1) / 4];
            if (!right)
              return "address " + std::to_string(first + i) + " answered " + std::to_string(answer);
          }
        }
        return "";
      });
  workers.change([&](uint64_t step) {
    const size_t i = cases.number() % prefixes.size();
    if (prefixes[i].stays || !prefixes[i].there || cases.number() % 2 == 0) return set(i, step);
    ASSERT_TRUE(this->fib_.erase(prefixes[i].key, prefixes[i].length));
    prefixes[i].there = false;
  });
  EXPECT_EQ(workers.failure(), "");
}

struct Nest {
  uint8_t outer;
  uint8_t inner;
};

// While the inner prefix is there, the outer one takes a next hop that it never shows.
// A reader that mixes two moments would see it, or see the outer's numbers run backwards.
TYPED_TEST(FibConcurrentTest, AHiddenNextHopIsNeverSeen) {
  constexpr uint32_t kInner = 1;
  constexpr uint32_t kHidden = 2;
  constexpr uint32_t kFirst = 10;
  const uint8_t host = TestFixture::kBytes * 8;
  for (const Nest nest :
       {Nest{0, 16}, Nest{0, host}, Nest{12, 20}, Nest{20, 28}, Nest{24, host},
        Nest{static_cast<uint8_t>(host - 6), host}, Nest{static_cast<uint8_t>(host - 12), host}}) {
    SCOPED_TRACE("outer /" + std::to_string(nest.outer) + " inner /" + std::to_string(nest.inner));
    typename TypeParam::Key address{};
    address.fill(0x77);
    ASSERT_TRUE(this->fib_.set(address, nest.outer, kFirst));
    std::array<uint32_t, kWorkers> last{};
    const std::array<typename TypeParam::Key, kBurst> keys = TestFixture::copies(address);
    Workers workers(this->rcu_, [&, turn = 0U](uint32_t worker) mutable -> std::string {
      std::array<uint32_t, kBurst> answers;
      if (++turn % 2 == 0) {
        this->fib_.lookup(keys.data(), answers.data(), kBurst);
      } else {
        for (uint32_t& answer : answers) answer = this->fib_.lookup(address);
      }
      uint32_t latest = last[worker];
      for (const uint32_t answer : answers) {
        if (answer == kInner) continue;
        if (answer < kFirst || answer < last[worker]) {
          return "answered " + std::to_string(answer) + " after " + std::to_string(last[worker]);
        }
        latest = std::max(latest, answer);
      }
      last[worker] = latest;  // a batch answers in no order
      return "";
    });
    workers.change([&](uint64_t step) {
      switch (step % 4) {
        case 0: ASSERT_TRUE(this->fib_.set(address, nest.inner, kInner)); break;
        case 1: ASSERT_TRUE(this->fib_.set(address, nest.outer, kHidden)); break;
        case 2:
          ASSERT_TRUE(this->fib_.set(address, nest.outer, kFirst + static_cast<uint32_t>(step)));
          break;
        default: ASSERT_TRUE(this->fib_.erase(address, nest.inner));
      }
    });
    ASSERT_EQ(workers.failure(), "");
    this->fib_.erase(address, nest.inner);
    ASSERT_TRUE(this->fib_.erase(address, nest.outer));
    this->rcu_.reclaim();
    EXPECT_EQ(this->fib_.nodes_in_use(), 0U);
  }
}

}  // namespace
}  // namespace weir::dataplane
