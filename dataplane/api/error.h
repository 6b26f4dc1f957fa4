// Errors as values. A command returns Status or Result<T>; nothing in weir
// throws across a module's border.
#pragma once

#include <cassert>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace weir {

// Stable numbers: they travel over the dataplane API and appear in `weirctl -j`.
// Never renumber; append only.
enum class ErrorCode : int32_t {
  ok = 0,
  invalid_argument = 1,
  not_found = 2,
  exists = 3,
  busy = 4,
  no_memory = 5,
  unsupported = 6,
  permission = 7,
  io = 8,
  version = 9,
  unavailable = 10,
  limit = 11,
  config = 12,
  timeout = 13,
};

std::string_view to_string(ErrorCode code) noexcept;

// One clear sentence for people that says what to do, and a stable code for programs.
struct Error {
  ErrorCode code = ErrorCode::ok;
  std::string text;
};

// Success or an Error.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)
  Status(ErrorCode code, std::string text) : error_(Error{code, std::move(text)}) {}

  explicit operator bool() const noexcept { return !error_.has_value(); }
  const Error& error() const {
    assert(error_);
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

// A T or an Error. Test it as a bool before use.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::move(error)) {}  // NOLINT(google-explicit-constructor)
  Result(ErrorCode code, std::string text) : state_(Error{code, std::move(text)}) {}

  explicit operator bool() const noexcept { return state_.index() == 0; }
  T& operator*() & { return std::get<0>(state_); }
  const T& operator*() const& { return std::get<0>(state_); }
  T&& operator*() && { return std::get<0>(std::move(state_)); }
  T* operator->() { return &std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }
  const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

// "<what>: <strerror(number)>" with code io (permission for EACCES and EPERM,
// not_found for ENOENT).
Error errno_error(std::string_view what, int number);

}  // namespace weir
