// Worker threads for tests of what workers and the main thread share.
//
// WEIR_TEST_CHANGES sets the number of the main thread's changes (default 20000).
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "dataplane/core/rcu.h"

namespace weir::dataplane {

inline constexpr uint32_t kWorkers = 3;  // more than cores: the scheduler stops some in mid-lookup
inline constexpr uint64_t kLeastChecks = 300;  // by each worker, however fast the writer is

inline uint64_t changes() {
  const char* text = std::getenv("WEIR_TEST_CHANGES");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : 20000;
}

// Runs check(worker) on workers, each between two quiescent reports, while the main
// thread runs change(step). The first text that a check returns fails the test.
class Workers {
 public:
  using Check = std::function<std::string(uint32_t worker)>;

  Workers(Rcu& rcu, const Check& check) : rcu_(rcu) {
    for (uint32_t worker = 0; worker < kWorkers; ++worker) {
      rcu.register_worker(worker);
      threads_.emplace_back([this, worker, check] { run(worker, check); });
    }
  }
  ~Workers() { stop(); }

  void change(const std::function<void(uint64_t step)>& change_once) {
    for (uint64_t step = 0; step < changes() || !checked_enough(); ++step) {
      change_once(step);
      if (step % 16 == 0) rcu_.reclaim();
      if (step % 4096 == 0) std::this_thread::yield();
      if (failed_.load(std::memory_order_acquire)) break;
    }
    stop();
  }
  const std::string& failure() const { return failure_; }

 private:
  void run(uint32_t worker, const Check& check) {
    rcu_.online(worker);
    while (!stop_.load(std::memory_order_relaxed)) {
      const std::string failure = check(worker);
      rcu_.quiescent(worker);
      checks_[worker].fetch_add(1, std::memory_order_relaxed);
      if (!failure.empty()) {
        if (!claimed_.test_and_set()) {
          failure_ = failure;
          failed_.store(true, std::memory_order_release);
        }
        break;
      }
    }
    rcu_.offline(worker);
  }
  bool checked_enough() const {
    return std::ranges::all_of(checks_, [](const auto& n) { return n.load() >= kLeastChecks; });
  }
  void stop() {
    stop_.store(true);
    for (uint32_t worker = 0; worker < threads_.size(); ++worker) {
      threads_[worker].join();
      rcu_.unregister_worker(worker);
    }
    threads_.clear();
  }

  Rcu& rcu_;
  std::array<std::atomic<uint64_t>, kWorkers> checks_{};
  std::atomic<bool> stop_{false};
  std::atomic<bool> failed_{false};
  std::atomic_flag claimed_;
  std::string failure_;
  std::vector<std::thread> threads_;
};

}  // namespace weir::dataplane
