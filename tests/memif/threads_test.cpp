// The port as it runs: main thread, worker thread and helper thread at once, clients
// that come and go under traffic. For ThreadSanitizer as well.
#include "tests/memif/threads.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

namespace weir::dataplane::memif::test {
namespace {

using namespace std::chrono_literals;

// One client's life on a thread of its own: sends, and waits for every frame to return.
uint64_t echo_client(const std::string& path, unsigned frames, std::chrono::microseconds gap) {
  RawClient client;
  while (!client.connect(path)) {
  }
  client.ring(false).flags = 0;  // wants interrupts
  uint64_t returned = 0;
  for (unsigned i = 0; i < frames; ++i) {
    const Bytes frame = make_frame(60 + i % 4000, static_cast<uint8_t>(i));
    if (!client.send_frame(frame)) break;
    client.notify();
    std::optional<Bytes> back;
    while (!(back = client.receive_frame())) {
      pollfd state{.fd = client.eventfd(false), .events = POLLIN, .revents = 0};
      if (poll(&state, 1, 2000) != 1) return returned;
      eventfd_t count = 0;
      eventfd_read(client.eventfd(false), &count);
    }
    if (*back != frame) return returned;
    client.refill();
    ++returned;
    if (gap.count() > 0) std::this_thread::sleep_for(gap);  // lets the worker fall asleep
  }
  return returned;
}

TEST_F(Threads, EveryFrameReturnsThroughSleepAndWake) {
  std::atomic<uint64_t> returned{0};
  std::atomic<bool> done{false};
  std::thread client([&] {
    returned = echo_client(path_, 2000, 0us);
    returned += echo_client(path_, 300, 300us);
    done = true;
  });
  EXPECT_TRUE(run_main_until([&] { return done.load(); }));
  client.join();
  EXPECT_EQ(returned.load(), 2300U);
  EXPECT_EQ(worker_->frames(), 2300U);
  EXPECT_GT(worker_->sleeps(), 100U);
  expect_baseline();
}

TEST_F(Threads, ClientsComeAndGoUnderTraffic) {
  std::atomic<unsigned> lives{0};
  std::thread client([&] {
    const Bytes frame = make_frame(5000);
    while (lives < 60) {
      RawClient one;
      if (!one.connect(path_)) continue;
      for (unsigned i = 0; i < 200 + lives * 7; ++i) {
        one.send_frame(frame);
        one.notify();
        one.receive_frame();
        one.refill();
      }
      if (lives % 10 == 9) one.set_head(true, 9999);  // some leave with a lie
      ++lives;
    }
  });
  while (lives < 60) run_main(1ms);
  client.join();
  EXPECT_GT(worker_->frames(), 60U);
  expect_baseline();
}

// WEIR_MEMIF_KILLS sets how many; a soak takes 10000.
TEST_F(Threads, KilledClients) {
  const char* wanted = std::getenv("WEIR_MEMIF_KILLS");
  const int kills = wanted != nullptr ? std::atoi(wanted) : 100;
  int connected = 0;
  for (int i = 0; i < kills; ++i) {
    api::Fd output;
    const pid_t pid = spawn({WEIR_RAW_CLIENT, path_}, output);
    ASSERT_GT(pid, 0);
    const auto readable = [&] {
      pollfd state{.fd = output.get(), .events = POLLIN, .revents = 0};
      return poll(&state, 1, 0) == 1;
    };
    const bool heard = run_main_until(readable);
    const uint64_t frames = worker_->frames();
    // Under traffic: at once, or after some frames.
    if (heard && i % 3 != 0) run_main_until([&] { return worker_->frames() > frames + 100; });
    kill(pid, SIGKILL);
    int status = 0;
    waitpid(pid, &status, 0);
    if (WIFSIGNALED(status)) ++connected;
  }
  EXPECT_EQ(connected, kills);
  EXPECT_TRUE(run_main_until([&] { return state().link == api::LinkState::down; }));
  expect_baseline();
}

}  // namespace
}  // namespace weir::dataplane::memif::test
