// CNI's numbered errors and a value-or-error type for them.
// Source: CNI SPEC 1.1.0, "Error"; 100 and above are the plugin's own.
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "cni/version.h"

namespace weir::cni {

enum class Code : int {
  incompatible_version = 1,
  unsupported_field = 2,
  unknown_container = 3,
  invalid_environment = 4,
  io_failure = 5,
  decoding_failure = 6,
  invalid_config = 7,
  invalid_netns = 8,
  try_later = 11,
  unavailable = 50,
  limited_connectivity = 51,
  internal = 100,
  exists = 101,     // the attachment or the interface is already there
  exhausted = 102,  // no free address left
  mismatch = 103,   // CHECK: what is there is not what ADD made
};

// `msg` is one sentence for people; `details` is the remedy or the cause, may be empty.
// A reply may carry a code that is not named above; it is kept as it is.
struct Error {
  Code code = Code::internal;
  std::string msg;
  std::string details{};
};

// The error object of the specification as one line of text. Never throws on
// text that is not UTF-8: such bytes are replaced.
std::string render(const Error& error, Version version);

// A T or an Error. Test it as a bool before use.
template <class T>
class [[nodiscard]] Outcome {
 public:
  Outcome(T value) : state_(std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Outcome(Error error) : state_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

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

}  // namespace weir::cni
