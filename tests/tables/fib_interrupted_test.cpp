// A lookup that is stopped after each of its instructions in turn while the writer makes
// several changes: every interleaving of one lookup with them, without luck.
//
// The processor's trap flag raises SIGTRAP after every instruction; the handler makes the
// changes once, after the wanted number of them.
#include <gtest/gtest.h>
#include <signal.h>
#include <ucontext.h>
#include <x86intrin.h>

#include <array>
#include <atomic>
#include <functional>

#include "dataplane/tables/fib.h"

namespace weir::dataplane {
namespace {

constexpr uint64_t kTrapFlag = 0x100;
constexpr size_t kBatch = 1;

const std::function<void()>* interruption = nullptr;
std::atomic<unsigned> instructions_left{0};

void on_trap(int, siginfo_t*, void* context) {
  if (--instructions_left > 0) return;
  static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_EFL] &= ~static_cast<greg_t>(kTrapFlag);
  (*interruption)();
}

class TrapHandler {
 public:
  TrapHandler() {
    struct sigaction action {};
    action.sa_sigaction = on_trap;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGTRAP, &action, &before_);
  }
  ~TrapHandler() { sigaction(SIGTRAP, &before_, nullptr); }

 private:
  struct sigaction before_ {};
};

// Runs `work`, and `change` after that many of its instructions. false: work ended before.
template <class Work>
bool interrupt(unsigned after, const std::function<void()>& change, Work&& work) {
  interruption = &change;
  instructions_left = after;
  __writeeflags(__readeflags() | kTrapFlag);
  work();
  __writeeflags(__readeflags() & ~kTrapFlag);
  return instructions_left == 0;
}

template <class T>
class FibInterruptedTest : public testing::Test {
 protected:
  static constexpr uint8_t kHost = std::tuple_size_v<typename T::Key> * 8;
};
using Tables = testing::Types<Fib4, Fib6>;
TYPED_TEST_SUITE(FibInterruptedTest, Tables);

constexpr uint32_t kInner = 1;
constexpr uint32_t kHidden = 2;
constexpr uint32_t kBefore = 10;
constexpr uint32_t kAfter = 11;

struct Nest {
  uint8_t outer;
  uint8_t inner;
};

// While the inner prefix is there, the outer one takes a next hop that it never shows.
TYPED_TEST(FibInterruptedTest, AHiddenNextHopIsNeverSeen) {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "a sanitizer's own instructions make single-stepping take minutes";
#endif
  const TrapHandler handler;
  constexpr uint8_t host = TestFixture::kHost;
  typename TypeParam::Key address{};
  address.fill(0x77);
  std::array<typename TypeParam::Key, kBatch> addresses;
  addresses.fill(address);
  for (const Nest nest : {Nest{0, 16}, Nest{0, host}, Nest{20, 28}, Nest{host - 6, host}}) {
    Rcu rcu(1);
    TypeParam fib(rcu);
    for (const bool inner_first : {false, true}) {
      for (const bool batch : {false, true}) {
        bool interrupted = true;
        unsigned after = 1;
        for (; interrupted; ++after) {
          rcu.reclaim();
          fib.erase(address, nest.inner);
          ASSERT_TRUE(fib.set(address, nest.outer, inner_first ? kHidden : kBefore));
          if (inner_first) {
            ASSERT_TRUE(fib.set(address, nest.inner, kInner));
          }
          const std::function<void()> appear = [&] {
            ASSERT_TRUE(fib.set(address, nest.inner, kInner));
            ASSERT_TRUE(fib.set(address, nest.outer, kHidden));
          };
          const std::function<void()> vanish = [&] {
            ASSERT_TRUE(fib.set(address, nest.outer, kAfter));
            ASSERT_TRUE(fib.erase(address, nest.inner));
          };
          std::array<uint32_t, kBatch> answers{kInner};
          interrupted = interrupt(after, inner_first ? vanish : appear, [&] {
            if (batch) {
              fib.lookup(addresses.data(), answers.data(), kBatch);
            } else {
              answers[0] = fib.lookup(address);
            }
          });
          for (const uint32_t answer : answers) {
            ASSERT_TRUE(answer == kInner || answer == (inner_first ? kAfter : kBefore))
                << "outer /" << +nest.outer << " inner /" << +nest.inner
                << (batch ? " batch" : " single") << " stopped after " << after
                << " instructions, answered " << answer;
          }
        }
        EXPECT_GT(after, 15U);  // it did stop inside
      }
    }
  }
}

}  // namespace
}  // namespace weir::dataplane
