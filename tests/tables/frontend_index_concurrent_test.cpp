// More frontends than the index has buckets: chains are long, their middles change.
//
// WEIR_TEST_CHANGES: see workers.h.
#include <gtest/gtest.h>

#include <memory>
#include <random>

#include "dataplane/tables/frontend_index.h"
#include "tests/tables/workers.h"

namespace weir::dataplane {
namespace {

constexpr uint32_t kFrontends = 100000;

FrontendView view_of(uint32_t number, uint32_t seconds) {
  return {.address = ip4_address(0x0a000000 + number).bytes,
          .port = 80,
          .protocol = kProtoTcp,
          .family = Family::ip4,
          .affinity = number,
          .affinity_seconds = seconds};
}

class FrontendIndexTest : public testing::Test {
 protected:
  FrontendIndexTest() {
    for (uint32_t i = 0; i < kFrontends; ++i) index_.set(view_of(i, 1));
  }
  const FrontendView* find(uint32_t number) const {
    const FrontendView view = view_of(number, 0);
    return index_.find({.destination = view.address,
                        .destination_port = view.port,
                        .protocol = view.protocol,
                        .family = view.family});
  }

  Rcu rcu_{kWorkers};
  FrontendIndex index_{rcu_};
};

TEST_F(FrontendIndexTest, AChangeLeavesTheRestOfItsChain) {
  for (uint32_t i = 0; i < kFrontends; ++i) {
    if (i % 3 == 0) index_.erase(view_of(i, 0));
    if (i % 3 == 1) index_.set(view_of(i, 2));
  }
  rcu_.reclaim();
  for (uint32_t i = 0; i < kFrontends; ++i) {
    const FrontendView* view = find(i);
    ASSERT_EQ(view == nullptr, i % 3 == 0) << i;
    if (view == nullptr) continue;
    EXPECT_EQ(view->affinity, i);
    EXPECT_EQ(view->affinity_seconds, i % 3 == 1 ? 2U : 1U);
  }
}

TEST_F(FrontendIndexTest, WorkersFindWhatStays) {
  std::array<std::mt19937_64, kWorkers> random;
  for (uint32_t worker = 0; worker < kWorkers; ++worker) random[worker].seed(worker + 1);
  Workers workers(rcu_, [&](uint32_t worker) -> std::string {
    for (int i = 0; i < 64; ++i) {
      const auto number = static_cast<uint32_t>(random[worker]() % kFrontends);
      const FrontendView* view = find(number);
      if (view == nullptr && number % 2 == 0) return "one that stays was not found";
      if (view != nullptr && view->affinity != number) return "another one was found";
    }
    return "";
  });
  std::mt19937_64 dice(9);
  workers.change([&](uint64_t) {
    const auto number = static_cast<uint32_t>(dice() % kFrontends);
    if (number % 2 == 0 || dice() % 2 == 0) return index_.set(view_of(number, 2));
    index_.erase(view_of(number, 0));
  });
  EXPECT_EQ(workers.failure(), "");
}

}  // namespace
}  // namespace weir::dataplane
