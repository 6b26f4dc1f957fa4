// The main thread's event loop: fds that callbacks add and remove, reuse of fd numbers
// within one round, timers.
#include "dataplane/runtime/event_loop.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <thread>
#include <vector>

namespace weir::dataplane {
namespace {

using namespace std::chrono_literals;

class EventLoopTest : public testing::Test {
 protected:
  void SetUp() override {
    auto created = EventLoop::create();
    ASSERT_TRUE(created);
    loop_ = std::move(*created);
  }
  // Counts as readable at once.
  static int ready_fd() { return eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC); }

  std::unique_ptr<EventLoop> loop_;
};

TEST_F(EventLoopTest, CallsBackAndStopsAfterRemove) {
  const int fd = ready_fd();
  int calls = 0;
  ASSERT_TRUE(loop_->add(fd, EPOLLIN, [&](uint32_t events) {
    EXPECT_TRUE(events & EPOLLIN);
    ++calls;
  }));
  EXPECT_FALSE(loop_->add(fd, EPOLLIN, [](uint32_t) {}));
  EXPECT_EQ(loop_->run_once(1s), 1U);
  EXPECT_EQ(loop_->run_once(1s), 1U);  // level triggered
  ASSERT_TRUE(loop_->modify(fd, 0));
  EXPECT_EQ(loop_->run_once(0s), 0U);
  ASSERT_TRUE(loop_->modify(fd, EPOLLIN));
  EXPECT_EQ(loop_->run_once(1s), 1U);
  loop_->remove(fd);
  loop_->remove(fd);
  EXPECT_FALSE(loop_->modify(fd, EPOLLIN));
  EXPECT_EQ(loop_->run_once(0s), 0U);
  EXPECT_EQ(calls, 3);
  close(fd);
}

// A peer's message and its deadline are both due when this thread was held up.
TEST_F(EventLoopTest, WhatArrivedInTimeGoesBeforeADeadline) {
  bool missed = false;
  const EventLoop::TimerId deadline = loop_->timer(1ns, [&] { missed = true; });
  std::this_thread::sleep_until(EventLoop::Clock::now() + 1ms);  // it is due
  const int fd = ready_fd();
  ASSERT_TRUE(loop_->add(fd, EPOLLIN, [&](uint32_t) { loop_->cancel(deadline); }));
  EXPECT_EQ(loop_->run_once(1s), 1U);
  EXPECT_FALSE(missed);
  loop_->remove(fd);
  close(fd);
}

TEST_F(EventLoopTest, RefusesABadDescriptor) {
  EXPECT_FALSE(loop_->add(-1, EPOLLIN, [](uint32_t) {}));
}

TEST_F(EventLoopTest, CallbackRemovesItselfAndKeepsItsCapture) {
  const int fd = ready_fd();
  auto token = std::make_shared<int>(7);
  int seen = 0;
  ASSERT_TRUE(loop_->add(fd, EPOLLIN, [this, fd, token, &seen](uint32_t) {
    loop_->remove(fd);
    close(fd);
    seen = *token;
  }));
  EXPECT_EQ(loop_->run_once(1s), 1U);
  EXPECT_EQ(seen, 7);
  EXPECT_EQ(token.use_count(), 1);
}

// Both are ready; whichever runs first closes the other and opens a new fd, which gets
// the closed one's number. The stale event must not reach the new callback.
TEST_F(EventLoopTest, StaleEventDoesNotReachAReusedNumber) {
  const int first = ready_fd();
  const int second = ready_fd();
  int old_calls = 0;
  int new_calls = 0;
  auto replace = [&](int other) {
    ++old_calls;
    loop_->remove(other);
    close(other);
    const int quiet = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    ASSERT_EQ(quiet, other);
    ASSERT_TRUE(loop_->add(quiet, EPOLLIN, [&](uint32_t) { ++new_calls; }));
  };
  ASSERT_TRUE(loop_->add(first, EPOLLIN, [&](uint32_t) { replace(second); }));
  ASSERT_TRUE(loop_->add(second, EPOLLIN, [&](uint32_t) { replace(first); }));
  EXPECT_EQ(loop_->run_once(1s), 1U);
  EXPECT_EQ(old_calls, 1);
  EXPECT_EQ(new_calls, 0);
  close(first);
  close(second);
}

TEST_F(EventLoopTest, TimersRunInOrderOnceAndCancelled) {
  std::vector<int> order;
  loop_->timer(3ms, [&] { order.push_back(3); });
  loop_->timer(1ms, [&] { order.push_back(1); });
  const auto never = loop_->timer(2ms, [&] { order.push_back(2); });
  loop_->timer(4ms, [&] { loop_->stop(); });
  loop_->cancel(never);
  loop_->cancel(never);
  loop_->run();
  EXPECT_EQ(order, (std::vector<int>{1, 3}));
}

TEST_F(EventLoopTest, PeriodicTimerRunsUntilItCancelsItself) {
  int calls = 0;
  EventLoop::TimerId id = 0;
  id = loop_->every(1ms, [&] {
    if (++calls < 5) return;
    loop_->cancel(id);
    loop_->timer(3ms, [&] { loop_->stop(); });
  });
  loop_->run();
  EXPECT_EQ(calls, 5);
}

TEST_F(EventLoopTest, TimerCancelsAnotherThatIsDueInTheSameRound) {
  int calls = 0;
  EventLoop::TimerId second = 0;
  loop_->timer(0ns, [&] {
    ++calls;
    loop_->cancel(second);
  });
  second = loop_->timer(1ns, [&] { ++calls; });
  const auto both_due = EventLoop::Clock::now() + 1us;
  while (EventLoop::Clock::now() < both_due) {
  }
  loop_->run_once(1s);
  EXPECT_EQ(loop_->run_once(0s), 0U);
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace weir::dataplane
