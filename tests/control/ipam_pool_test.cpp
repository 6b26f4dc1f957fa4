// AddressPool against a plain map: the same answers after any sequence of changes.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "control/ipam/address_pool.h"

namespace weir::control {
namespace {

constexpr unsigned kAddresses = 40;

struct ModelState {
  bool taken = false;
  int64_t since = 0;
};

class PoolModel {
 public:
  std::map<unsigned, ModelState> busy;

  std::optional<Number> next_free(unsigned from, unsigned to) const {
    for (unsigned n = from; n <= to; ++n) {
      if (!busy.contains(n)) return n;
    }
    return std::nullopt;
  }
  std::optional<Number> longest_resting(unsigned from, unsigned to) const {
    std::optional<unsigned> best;
    for (const auto& [n, state] : busy) {
      if (state.taken || n < from || n > to) continue;
      if (!best || state.since < busy.at(*best).since) best = n;
    }
    return best ? std::optional<Number>(*best) : std::nullopt;
  }
};

TEST(AddressPool, AgreesWithAPlainMap) {
  std::mt19937 random(20240607);
  const auto draw = [&random](unsigned below) { return static_cast<unsigned>(random() % below); };
  AddressPool pool;
  PoolModel model;
  for (int step = 0; step < 20000; ++step) {
    const unsigned number = draw(kAddresses);
    const auto time = int64_t{draw(1000)};
    switch (draw(3)) {
      case 0:
        pool.take(number, number + 1);
        model.busy[number] = {.taken = true};
        break;
      case 1:
        pool.rest(number, time);
        model.busy[number] = {.taken = false, .since = time};
        break;
      default: pool.free(number); model.busy.erase(number);
    }
    const unsigned a = draw(kAddresses);
    const unsigned b = draw(kAddresses);
    const unsigned from = std::min(a, b);
    const unsigned to = std::max(a, b);
    ASSERT_EQ(pool.next_free(from, to), model.next_free(from, to)) << "step " << step;
    const auto resting = pool.longest_resting(from, to, [](Number) { return true; });
    ASSERT_EQ(resting ? std::optional<Number>(resting->number) : std::nullopt,
              model.longest_resting(from, to))
        << "step " << step;
    const auto state = model.busy.find(number);
    ASSERT_EQ(pool.is_taken(number), state != model.busy.end() && state->second.taken);
    ASSERT_EQ(pool.is_resting(number), state != model.busy.end() && !state->second.taken);
    ASSERT_EQ(pool.count_taken(0, kAddresses) + pool.count_resting(0, kAddresses),
              model.busy.size());
  }
}

TEST(AddressPool, ReachesTheLastNumber) {
  const Number last = ~Number{0};
  AddressPool pool;
  EXPECT_EQ(pool.next_free(last, last), last);
  pool.take(last, 1);
  EXPECT_EQ(pool.next_free(last, last), std::nullopt);
  pool.take(last - 1, 1);
  EXPECT_EQ(pool.next_free(last - 2, last), last - 2);
  EXPECT_EQ(pool.next_free(last - 1, last), std::nullopt);
  pool.free(last);
  EXPECT_EQ(pool.next_free(last - 1, last), last);
}

}  // namespace
}  // namespace weir::control
