// The port as it runs: a worker thread beside the main and the helper thread.
#pragma once

#include <poll.h>
#include <sys/eventfd.h>

#include <thread>

#include "tests/memif/harness.h"

namespace weir::dataplane::memif::test {

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
    const auto deadline = EventLoop::Clock::now() + std::chrono::seconds(10);
    while (!done()) {
      if (EventLoop::Clock::now() > deadline) return false;
      run_main(std::chrono::milliseconds(1));
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

// Starts a program whose output goes to `output`; -1 when that fails. A read end of
// `input`, when given, becomes its standard input.
pid_t spawn(const std::vector<std::string>& command, api::Fd& output, int input = -1);

}  // namespace weir::dataplane::memif::test
