// weir-control's connection to weir-dataplane, on a thread of its own: a dataplane that
// hangs or is away never holds up the control loop.
//
// Life: connect -> ask the loop for the plan -> replay -> ready, until a call finds the
// connection broken; then again, for ever, with growing pauses. Without a connection a
// call fails at once with `unavailable`; during a replay it waits for its end.
// Thread safety: the loop's thread, unless a member says otherwise.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "control/dataplane/job_queue.h"
#include "control/dataplane/replay.h"
#include "control/loop/future.h"

namespace weir::control {

struct SessionOptions {
  std::string socket;  // path
  std::chrono::milliseconds call_timeout = std::chrono::seconds(5);
  std::chrono::milliseconds first_pause = std::chrono::milliseconds(50);
  std::chrono::milliseconds longest_pause = std::chrono::seconds(1);
  std::chrono::milliseconds ping_interval = std::chrono::seconds(2);
};

struct SessionEvents {
  // Both on the loop's thread. `plan` must be complete at that moment: what is not in it
  // is swept. An error makes the session try again later.
  std::function<Result<ReplayPlan>()> plan;
  std::function<void(const ReplayReport&)> replayed;
};

struct SessionView {
  bool ready = false;
  std::string reason;       // why not ready
  uint64_t instance = 0;    // of the last dataplane, 0 = none yet
  uint64_t generation = 0;  // of the last replay
  uint32_t pid = 0;
};

class DataplaneSession {
 public:
  DataplaneSession(asio::io_context& loop, SessionOptions options, SessionEvents events);
  ~DataplaneSession();  // stop()
  DataplaneSession(const DataplaneSession&) = delete;
  DataplaneSession& operator=(const DataplaneSession&) = delete;

  void start();
  // Ends the thread; waits for the call in hand, at most for the call's deadline. Calls
  // that wait fail with `unavailable`.
  void stop();

  // Replayed, and the call in hand is not overdue. Never waits.
  bool ready() const;
  SessionView view() const;

  // Runs `call` on the session's thread with the client, in the order of arrival.
  // R is Status or a Result. What `call` refers to must stay valid until the coroutine
  // goes on.
  template <class R>
  Task<R> call(std::function<R(api::Client&)> call) {
    const Future<R> future(loop_);
    push<R>(std::move(call), [future](R result) { future.deliver(std::move(result)); });
    co_return co_await future.get();
  }

  // The same for another thread, which blocks for `timeout` at most. Any thread.
  template <class T>
  Result<T> call_from_thread(std::function<Result<T>(api::Client&)> call,
                             std::chrono::milliseconds timeout) {
    const auto promise = std::make_shared<std::promise<Result<T>>>();
    std::future<Result<T>> result = promise->get_future();
    push<Result<T>>(std::move(call), [promise](Result<T> r) { promise->set_value(std::move(r)); });
    if (result.wait_for(timeout) == std::future_status::ready) return result.get();
    return {ErrorCode::timeout, "weir-dataplane did not answer in time"};
  }

 private:
  template <class R>
  void push(std::function<R(api::Client&)> call, std::function<void(R)> deliver) {
    jobs_.push({.run =
                    [call = std::move(call), deliver](api::Client& client) {
                      R result = call(client);
                      const bool usable = result || !is_broken(result.error(), client);
                      deliver(std::move(result));
                      return usable;
                    },
                .fail = [deliver](const Error& error) { deliver(R(error)); }});
  }

  void run();
  // One connection, from replay to its end. Returns why it ended.
  Error serve(api::Client& client);
  Error serve_jobs(api::Client& client);
  Status replay_plan(api::Client& client);
  // Has the loop make the plan. Calls that come after that moment wait for the replay's end.
  Result<ReplayPlan> ask_plan();
  void ping();
  void set_ready(const api::Client& client, const ReplayReport& report);
  void set_down(const Error& error);
  bool stopping() const;
  void pause(std::chrono::milliseconds duration);

  asio::io_context& loop_;
  const SessionOptions options_;
  const SessionEvents events_;
  JobQueue jobs_;
  // False once stop() ran. Belongs to the loop's thread; posted functions share it.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

  mutable std::mutex mutex_;  // guards stopping_ and view_
  std::condition_variable wake_;
  bool stopping_ = false;
  SessionView view_;
  std::thread thread_;
};

}  // namespace weir::control
