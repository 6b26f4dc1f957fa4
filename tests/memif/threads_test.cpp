// The port as it runs: main thread, worker thread and helper thread at once, clients
// that come and go under traffic. For ThreadSanitizer as well.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "tests/memif/harness.h"

namespace weir::dataplane::memif::test {
namespace {

using namespace std::chrono_literals;

// A worker that sends every frame back, and sleeps when there are none.
class EchoWorker {
 public:
  EchoWorker(MemifPort& port, Rcu& rcu, uint32_t worker, int wake_fd)
      : port_(port), rcu_(rcu), worker_(worker), wake_fd_(wake_fd), thread_([this] { run(); }) {}
  ~EchoWorker() {
    stop_.store(true);
    eventfd_write(wake_fd_, 1);
    thread_.join();
  }
  uint64_t frames() const { return frames_.load(); }
  uint64_t sleeps() const { return sleeps_.load(); }

 private:
  void run() {
    rcu_.online(worker_);
    unsigned empty = 0;
    while (!stop_.load()) {
      empty = sweep() ? 0 : empty + 1;
      rcu_.quiescent(worker_);
      if (empty > 16) sleep();
    }
    rcu_.offline(worker_);
  }

  bool sweep() {
    DropSink sink(counters_);
    const uint16_t count = port_.rx(vector_->batch(), sink);
    std::array<Packet*, kVectorSize> pointers{};
    std::array<Drop, kVectorSize> drops{};
    for (uint16_t i = 0; i < count; ++i) pointers[i] = &vector_->packets[i];
    if (count > 0) port_.tx(std::span(pointers).first(count), drops.data());
    port_.rx_done();
    port_.flush();
    frames_.fetch_add(count);
    return count > 0;
  }

  void sleep() {
    if (!port_.arm()) {
      sleeps_.fetch_add(1);
      rcu_.offline(worker_);
      pollfd state{.fd = wake_fd_, .events = POLLIN, .revents = 0};
      poll(&state, 1, -1);
      rcu_.online(worker_);
    }
    eventfd_t count = 0;
    eventfd_read(wake_fd_, &count);
    port_.disarm();
  }

  MemifPort& port_;
  Rcu& rcu_;
  uint32_t worker_;
  int wake_fd_;
  PortCounterBlock counters_;
  std::unique_ptr<WorkerVector> vector_ = std::make_unique<WorkerVector>();
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> frames_{0};
  std::atomic<uint64_t> sleeps_{0};
  std::thread thread_;
};

class Threads : public MemifTest {
 protected:
  void SetUp() override {
    rcu_.offline(kWorker);  // the worker thread's from here on
    wake_fd_.reset(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    auto port = service_->make_port(config(), [this] { eventfd_write(wake_fd_.get(), 1); });
    ASSERT_TRUE(port) << port.error().text;
    port_ = std::move(*port);
    fd_baseline_ = open_fds();
    worker_ = std::make_unique<EchoWorker>(*port_, rcu_, kWorker, wake_fd_.get());
  }
  void TearDown() override {
    worker_.reset();
    rcu_.online(kWorker);
  }

  // The main thread's part, without the worker's.
  void run_main(std::chrono::milliseconds wait) {
    loop_->run_once(wait);
    rcu_.reclaim();
  }
  bool run_main_until(const std::function<bool()>& done) {
    const auto deadline = EventLoop::Clock::now() + 10s;
    while (!done()) {
      if (EventLoop::Clock::now() > deadline) return false;
      run_main(1ms);
    }
    return true;
  }
  void expect_baseline() {
    EXPECT_TRUE(run_main_until([this] {
      return port_->undisposed() == 0 && rcu_.pending() == 0 && open_fds() <= fd_baseline_;
    })) << open_fds()
        << " descriptors are open, " << fd_baseline_ << " were";
  }

  api::Fd wake_fd_;
  std::unique_ptr<EchoWorker> worker_;
};

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

// Spawns the client program; the read end of `output` tells when it is connected.
pid_t spawn_client(const std::string& path, api::Fd& output) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return -1;
  output.reset(ends[0]);
  const api::Fd input(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input.get(), STDOUT_FILENO);
  std::array<char*, 3> arguments{const_cast<char*>(WEIR_RAW_CLIENT),
                                 const_cast<char*>(path.c_str()), nullptr};
  pid_t pid = -1;
  if (posix_spawn(&pid, WEIR_RAW_CLIENT, &actions, nullptr, arguments.data(), environ) != 0)
    pid = -1;
  posix_spawn_file_actions_destroy(&actions);
  return pid;
}

// WEIR_MEMIF_KILLS sets how many; a soak takes 10000.
TEST_F(Threads, KilledClients) {
  const char* wanted = std::getenv("WEIR_MEMIF_KILLS");
  const int kills = wanted != nullptr ? std::atoi(wanted) : 100;
  int connected = 0;
  for (int i = 0; i < kills; ++i) {
    api::Fd output;
    const pid_t pid = spawn_client(path_, output);
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
