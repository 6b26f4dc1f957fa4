// A value that another thread makes and a coroutine waits for.
#pragma once

#include <chrono>
#include <memory>
#include <optional>

#include "control/loop/asio.h"

namespace weir::control {

// Thread safety: deliver() from any thread, once; get() on the loop's thread, once.
// Copies share the value.
template <class T>
class Future {
 public:
  explicit Future(asio::io_context& loop) : state_(std::make_shared<State>(loop)) {}

  void deliver(T value) const {
    asio::post(state_->loop, [state = state_, value = std::move(value)]() mutable {
      state->value.emplace(std::move(value));
      state->timer.cancel();
    });
  }

  Task<T> get() const {
    const std::shared_ptr<State> state = state_;  // this object may go away meanwhile
    while (!state->value) {
      boost::system::error_code cancelled;
      co_await state->timer.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    }
    co_return std::move(*state->value);
  }

 private:
  struct State {
    explicit State(asio::io_context& io) : loop(io), timer(io) {
      timer.expires_at(asio::steady_timer::time_point::max());
    }
    asio::io_context& loop;
    asio::steady_timer timer;  // never fires; cancelling it wakes the coroutine
    std::optional<T> value;
  };
  std::shared_ptr<State> state_;
};

}  // namespace weir::control
