// Workers add and remove keys that meet in few slots: what a worker has in is never denied.
//
// WEIR_TEST_CHANGES: see workers.h.
#include <gtest/gtest.h>

#include <random>

#include "dataplane/tables/connection_filter.h"
#include "tests/tables/connection_fixture.h"
#include "tests/tables/workers.h"

namespace weir::dataplane {
namespace {

constexpr unsigned kKeys = 20;  // of each thread: all together never make a slot full

// One thread's keys, and which of them are in.
class Owner {
 public:
  Owner(ConnectionFilter& filter, uint32_t number) : filter_(filter), number_(number) {
    random_.seed(number);
  }
  std::string step() {
    const auto i = static_cast<unsigned>(random_() % kKeys);
    in_[i] ? filter_.remove(key(i)) : filter_.add(key(i));
    in_[i] = !in_[i];
    for (unsigned each = 0; each < kKeys; ++each) {
      if (in_[each] && !filter_.view().may_have(key(each))) return "a key that is in was denied";
    }
    return "";
  }
  void leave() {
    for (unsigned i = 0; i < kKeys; ++i) {
      if (std::exchange(in_[i], false)) filter_.remove(key(i));
    }
  }
  FlowKey key(unsigned i) const { return udp_key(kClient + number_, i, kVip, 53); }

 private:
  ConnectionFilter& filter_;
  uint32_t number_;
  std::mt19937 random_;
  std::array<bool, kKeys> in_{};
};

TEST(ConnectionFilterConcurrent, DeniesNothingThatIsIn) {
  Rcu rcu(kWorkers);
  ConnectionFilter filter(1, -1);  // four slots
  filter.populate();
  std::vector<Owner> owners;
  for (uint32_t number = 0; number <= kWorkers; ++number) owners.emplace_back(filter, number);
  Owner& main = owners[kWorkers];
  std::string failure;
  Workers workers(rcu, [&](uint32_t worker) { return owners[worker].step(); });
  workers.change([&](uint64_t) {
    if (failure.empty()) failure = main.step();
  });
  EXPECT_EQ(workers.failure(), "");
  EXPECT_EQ(failure, "");
  for (Owner& owner : owners) owner.leave();
  for (const Owner& owner : owners) {
    for (unsigned i = 0; i < kKeys; ++i) EXPECT_FALSE(filter.view().may_have(owner.key(i)));
  }
}

}  // namespace
}  // namespace weir::dataplane
