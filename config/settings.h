// The one table of weir.json's keys: it drives parsing and the search for unknown
// keys. Private to config/.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>

#include "config/config.h"

namespace weir::config {

using Json = nlohmann::json;

struct Setting {
  std::string_view section;
  std::string_view name;
  // Checks `value` and stores it; `path` is "section.name" for the error's text.
  Status (*parse)(const Json& value, const std::string& path, Config& config);
};

std::span<const Setting> settings();

inline constexpr uint64_t kMinMtu = 68;  // RFC 791
inline constexpr uint64_t kMaxMtu = 65535;

// What parsers of values share. Errors quote the value and say what is wanted.
Status wrong(const std::string& path, const Json& value, const std::string& wanted);
std::string element(const std::string& path, size_t index);  // "path[index]"
Status read_number(const Json& value, const std::string& path, uint64_t low, uint64_t high, uint64_t& number);
Status read_string(const Json& value, const std::string& path, const std::string& wanted, std::string& text);

Status parse_uplinks(const Json& value, const std::string& path, Config& config);
Status parse_routes(const Json& value, const std::string& path, Config& config);
Status parse_kernel_routes(const Json& value, const std::string& path, Config& config);

// An error of code config: "<path> <complaint>".
Status complain(const std::string& path, const std::string& complaint);

// Fills in the defaults that depend on the machine and checks what needs more than one key.
Status check_whole(Config& config, const LoadOptions& options);

}  // namespace weir::config
