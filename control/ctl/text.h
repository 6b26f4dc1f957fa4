// Small conversions for people and programs. Nothing here talks to a daemon.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace weir::ctl {

// Keys keep the order in which they were set: the output is stable.
using Json = nlohmann::ordered_json;

// What is safe to send to a terminal: every byte outside printable ASCII is '?'.
// Names may come from a pod (a memif client's own name), so none is shown unchecked.
std::string printable(std::string_view text);

// A record's text field; it need not be zero-terminated.
template <size_t N>
std::string field_text(const std::array<char, N>& field) {
  const std::string_view all(field.data(), field.size());
  return printable(all.substr(0, all.find('\0')));
}

// A number as long as every JSON reader keeps it exact (up to 2^53), else its
// decimal digits as text.
Json json_u64(uint64_t value);
// Three decimals; NaN and infinity, which JSON lacks, are 0.
Json json_real(double value);
// Indented by two; invalid UTF-8 is replaced, never thrown at.
std::string dump(const Json& json);
// The same on one line.
std::string dump_line(const Json& json);

// 0 when `divisor` is 0.
double ratio(uint64_t dividend, uint64_t divisor) noexcept;

std::string fixed(double value, int decimals);
// "1.23 Mp/s": three digits and a decimal prefix.
std::string with_prefix(double value, std::string_view unit);
// "256 MiB": binary prefix.
std::string byte_size(uint64_t bytes);
// "2d 3h", "4m 5s", "6.7 s".
std::string duration(uint64_t nanoseconds);

}  // namespace weir::ctl
