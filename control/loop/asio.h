// Boost.Asio as weir-control uses it: one thread, coroutines.
#pragma once

// clang-format off: Boost 1.74's coroutines use std::exchange without including it.
#include <utility>
#include <boost/asio.hpp>
// clang-format on

namespace weir::control {

namespace asio = boost::asio;

// A coroutine on the control thread. Errors are values; only running out of memory throws.
template <class T = void>
using Task = asio::awaitable<T>;

using Executor = asio::io_context::executor_type;

}  // namespace weir::control
