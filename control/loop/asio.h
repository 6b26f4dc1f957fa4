// Boost.Asio as weir-control uses it: one thread, coroutines.
#pragma once

#include <boost/asio.hpp>
#include <utility>  // Boost 1.74's coroutines use std::exchange without it

namespace weir::control {

namespace asio = boost::asio;

// A coroutine on the control thread. Errors are values; only running out of memory throws.
template <class T = void>
using Task = asio::awaitable<T>;

using Executor = asio::io_context::executor_type;

}  // namespace weir::control
