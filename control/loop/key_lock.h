// Locks by name, for coroutines of one loop: work on one attachment happens in the order
// it came, work on different ones overlaps.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>

#include "control/loop/asio.h"

namespace weir::control {

class KeyLocks {
 public:
  explicit KeyLocks(asio::io_context& loop) : loop_(loop) {}

  // Unlocks when it is destroyed.
  class Guard {
   public:
    Guard(KeyLocks& locks, std::string key) : locks_(&locks), key_(std::move(key)) {}
    Guard(Guard&& other) noexcept
        : locks_(std::exchange(other.locks_, nullptr)), key_(std::move(other.key_)) {}
    Guard& operator=(Guard&&) = delete;
    ~Guard() {
      if (locks_ != nullptr) locks_->unlock(key_);
    }

   private:
    KeyLocks* locks_;
    std::string key_;
  };

  Task<std::unique_ptr<Guard>> lock(std::string key) {
    const auto [place, free] = waiting_.try_emplace(key);
    if (!free) {
      auto waiter = std::make_shared<Waiter>(loop_);
      place->second.push_back(waiter);
      while (!waiter->turn) {
        boost::system::error_code cancelled;
        co_await waiter->timer.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
      }
    }
    co_return std::make_unique<Guard>(*this, std::move(key));
  }

  asio::io_context& loop() const noexcept { return loop_; }
  bool locked(const std::string& key) const { return waiting_.contains(key); }

 private:
  struct Waiter {
    explicit Waiter(asio::io_context& loop) : timer(loop) {
      timer.expires_at(asio::steady_timer::time_point::max());
    }
    asio::steady_timer timer;
    bool turn = false;
  };

  void unlock(const std::string& key) {
    const auto place = waiting_.find(key);
    if (place->second.empty()) {
      waiting_.erase(place);
      return;
    }
    const std::shared_ptr<Waiter> next = std::move(place->second.front());
    place->second.pop_front();
    next->turn = true;
    next->timer.cancel();
  }

  asio::io_context& loop_;
  std::map<std::string, std::deque<std::shared_ptr<Waiter>>> waiting_;  // held keys
};

}  // namespace weir::control
