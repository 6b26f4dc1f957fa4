// Boost.Asio as weir-control uses it: one thread, coroutines.
#pragma once

// Boost 1.74's coroutines use std::exchange without including it, so the order matters.
// clang-format off
#include <utility>
#include <boost/asio.hpp>
// clang-format on

namespace weir::control {

namespace asio = boost::asio;

// A coroutine on the control thread. Errors are values; only running out of memory throws.
//
// g++ 12 destroys closures and aggregates twice that are made inside an expression with
// co_await. Give each a name first:
//   const auto work = [path] { ... };
//   co_await pool.run(work);
// It also traps at a loop whose condition holds a co_await behind && or ||.
template <class T = void>
using Task = asio::awaitable<T>;

using Executor = asio::io_context::executor_type;

}  // namespace weir::control
