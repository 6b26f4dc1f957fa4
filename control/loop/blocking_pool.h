// Threads for work that blocks: network namespaces, netlink, directories.
#pragma once

#include <functional>
#include <type_traits>

#include "control/loop/future.h"

namespace weir::control {

class BlockingPool {
 public:
  BlockingPool(asio::io_context& loop, size_t threads) : loop_(loop), pool_(threads) {}
  // Waits for the work that runs; what has not started is dropped.
  ~BlockingPool() { stop(); }

  void stop() {
    pool_.stop();
    pool_.join();
  }

  // Has one of the threads run `work`; a coroutine gets the result on the loop. Everything
  // that `work` touches must stay valid until then.
  template <class Work>
  Future<std::invoke_result_t<Work>> start(Work work) {
    const Future<std::invoke_result_t<Work>> future(loop_);
    asio::post(pool_, [future, work = std::move(work)]() mutable { future.deliver(work()); });
    return future;
  }

  template <class Work>
  Task<std::invoke_result_t<Work>> run(Work work) {
    const auto future = start(std::move(work));
    co_return co_await future.get();
  }

 private:
  asio::io_context& loop_;
  asio::thread_pool pool_;
};

}  // namespace weir::control
