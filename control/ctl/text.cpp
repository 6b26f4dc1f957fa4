#include "control/ctl/text.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace weir::ctl {

std::string printable(std::string_view text) {
  std::string clean(text);
  std::ranges::replace_if(
      clean, [](char c) { return c < ' ' || c > '~'; }, '?');
  return clean;
}

Json json_u64(uint64_t value) {
  constexpr uint64_t kExact = 1ULL << 53;
  if (value > kExact) return std::to_string(value);
  return value;
}

Json json_real(double value) {
  if (!std::isfinite(value)) return 0.0;
  return std::round(value * 1000.0) / 1000.0;
}

std::string dump(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string dump_line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

double ratio(uint64_t dividend, uint64_t divisor) noexcept {
  return divisor == 0 ? 0.0 : static_cast<double>(dividend) / static_cast<double>(divisor);
}

std::string fixed(double value, int decimals) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.*f", decimals, value);
  return text.data();
}

std::string with_prefix(double value, std::string_view unit) {
  constexpr std::array<const char*, 5> kPrefixes{"", "k", "M", "G", "T"};
  size_t step = 0;
  // 999.5 would round up to 1000 of the smaller unit.
  for (; value >= 999.5 && step + 1 < kPrefixes.size(); ++step) value /= 1000.0;
  int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  if (step == 0 && value == std::floor(value)) decimals = 0;
  return fixed(value, decimals) + " " + kPrefixes[step] + std::string(unit);
}

std::string byte_size(uint64_t bytes) {
  constexpr std::array<const char*, 5> kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  size_t step = 0;
  for (; value >= 1024.0 && step + 1 < kUnits.size(); ++step) value /= 1024.0;
  return fixed(value, step == 0 || value >= 100.0 ? 0 : 1) + " " + kUnits[step];
}

std::string duration(uint64_t nanoseconds) {
  const uint64_t seconds = nanoseconds / 1'000'000'000;
  const auto pair = [](uint64_t a, const char* au, uint64_t b, const char* bu) {
    return std::to_string(a) + au + " " + std::to_string(b) + bu;
  };
  if (seconds >= 86400) return pair(seconds / 86400, "d", seconds / 3600 % 24, "h");
  if (seconds >= 3600) return pair(seconds / 3600, "h", seconds / 60 % 60, "m");
  if (seconds >= 60) return pair(seconds / 60, "m", seconds % 60, "s");
  return fixed(static_cast<double>(nanoseconds) / 1e9, 1) + " s";
}

}  // namespace weir::ctl
