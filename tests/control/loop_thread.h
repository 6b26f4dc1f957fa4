// Runs a control loop beside the test and coroutines on it from the test's thread.
#pragma once

#include <future>
#include <thread>

#include "control/loop/asio.h"

namespace weir::control {

class LoopThread {
 public:
  LoopThread() : work_(asio::make_work_guard(loop)), thread_([this] { loop.run(); }) {}
  ~LoopThread() {
    work_.reset();
    loop.stop();
    thread_.join();
  }

  asio::io_context loop{1};

  // Runs a plain function on the loop and waits for it.
  template <class Work>
  auto run(Work work) -> std::invoke_result_t<Work> {
    std::packaged_task<std::invoke_result_t<Work>()> task(std::move(work));
    auto future = task.get_future();
    asio::post(loop, [&task] { task(); });
    return future.get();
  }

  // Starts a coroutine on the loop; the future gets its value.
  template <class T>
  std::future<T> start(std::function<Task<T>()> work) {
    auto promise = std::make_shared<std::promise<T>>();
    auto future = promise->get_future();
    asio::co_spawn(
        loop, [work, promise]() -> Task<> { promise->set_value(co_await work()); }, asio::detached);
    return future;
  }

 private:
  asio::executor_work_guard<Executor> work_;
  std::thread thread_;
};

}  // namespace weir::control
