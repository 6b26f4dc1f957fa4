#include "config/config.h"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <numeric>
#include <optional>
#include <set>
#include <sstream>

#include "config/paths.h"
#include "config/settings.h"

namespace weir::config {

namespace {

constexpr size_t kMaxFileBytes = size_t{1} << 20;
constexpr size_t kMaxDepth = 32;

// Thrown out of the parser's callback, caught in read_json().
struct Refused {
  std::string text;
};

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::string last_part(const std::string& path) { return path.substr(path.rfind('.') + 1); }

// "unknown key x; did you mean y?" or the list of what there is.
Error unknown_key(const std::string& path, const std::vector<std::string>& known) {
  const std::string name = last_part(path);
  const std::string* best = nullptr;
  size_t best_distance = std::max<size_t>(2, name.size() / 3) + 1;
  for (const std::string& candidate : known) {
    const size_t distance = edit_distance(name, last_part(candidate));
    if (distance < best_distance) {
      best_distance = distance;
      best = &candidate;
    }
  }
  const std::string text = "is not a known key; ";
  if (best != nullptr) return complain(path, text + "did you mean \"" + *best + "\"?").error();
  return complain(path, text + "remove it or use one of: " + join(known)).error();
}

std::vector<std::string> section_names() {
  std::vector<std::string> names;
  for (const Setting& setting : settings()) {
    if (names.empty() || names.back() != setting.section) names.emplace_back(setting.section);
  }
  return names;
}

std::vector<std::string> keys_of(std::string_view section) {
  std::vector<std::string> keys;
  for (const Setting& setting : settings()) {
    if (setting.section == section)
      keys.push_back(std::string(section) + "." + std::string(setting.name));
  }
  return keys;
}

const Setting* find_setting(std::string_view section, std::string_view name) {
  for (const Setting& setting : settings()) {
    if (setting.section == section && setting.name == name) return &setting;
  }
  return nullptr;
}

// A key far from its section's keys may belong to another section.
Error misplaced_key(const std::string& section, const std::string& name) {
  const std::string path = section + "." + name;
  for (const Setting& setting : settings()) {
    if (setting.name != name) continue;
    return complain(path, "is not a known key; did you mean \"" + std::string(setting.section) +
                              "." + name + "\"?")
        .error();
  }
  return unknown_key(path, keys_of(section));
}

Status parse_section(const std::string& section, const Json& object, Config& config) {
  if (!object.is_object()) return complain(section, "must be an object, for example {}");
  for (const auto& [name, value] : object.items()) {
    const Setting* setting = find_setting(section, name);
    if (setting == nullptr) return misplaced_key(section, name);
    if (Status status = setting->parse(value, section + "." + name, config); !status) return status;
  }
  return {};
}

Status parse_sections(const Json& root, Config& config) {
  if (!root.is_object()) {
    return Status(ErrorCode::config, "the file must hold one JSON object, for example {}");
  }
  const std::vector<std::string> sections = section_names();
  for (const auto& [name, value] : root.items()) {
    if (std::find(sections.begin(), sections.end(), name) == sections.end()) {
      for (const Setting& setting : settings()) {
        if (setting.name == name) return misplaced_key("", name);
      }
      return unknown_key(name, sections);
    }
    if (Status status = parse_section(name, value, config); !status) return status;
  }
  return {};
}

std::string position(std::string_view text, size_t byte) {
  const std::string_view before = text.substr(0, std::min(byte == 0 ? 0 : byte - 1, text.size()));
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const size_t newline = before.rfind('\n');
  const size_t column = before.size() - (newline == std::string_view::npos ? 0 : newline + 1) + 1;
  return std::to_string(line) + ":" + std::to_string(column);
}

// nlohmann's text without its "[json.exception…] parse error at line…: " prefix.
std::string parser_complaint(const std::string& what) {
  const size_t colon = what.find(": ");
  return colon == std::string::npos ? what.substr(what.find("] ") + 2) : what.substr(colon + 2);
}

Result<Json> read_json(std::string_view text) {
  // Keys seen in each open object: nlohmann keeps the last of a doubled key in silence.
  std::vector<std::set<std::string>> open;
  const auto watch = [&open](int, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::object_start || event == Json::parse_event_t::array_start) {
      if (open.size() >= kMaxDepth) throw Refused{"is nested too deeply; flatten it"};
      open.emplace_back();
    } else if (event == Json::parse_event_t::object_end ||
               event == Json::parse_event_t::array_end) {
      open.pop_back();
    } else if (event == Json::parse_event_t::key) {
      const auto& key = value.get_ref<const std::string&>();
      if (!open.back().insert(key).second) {
        throw Refused{"key \"" + key + "\" is given twice in one object; keep one of them"};
      }
    }
    return true;
  };
  try {
    return Json::parse(text, watch);
  } catch (const Json::parse_error& error) {
    return Error{ErrorCode::config, position(text, error.byte) +
                                        ": is not valid JSON, correct it there (" +
                                        parser_complaint(error.what()) + ")"};
  } catch (const Json::out_of_range& error) {  // a number that no double can hold
    return Error{ErrorCode::config, "holds a number that is too large, correct it (" +
                                        parser_complaint(error.what()) + ")"};
  } catch (const Refused& refused) {
    return Error{ErrorCode::config, refused.text};
  }
}

// The text quotes the file, and goes into logs and to terminals as one line.
Error named(const std::string& origin, const Error& error) {
  const bool has_position = !error.text.empty() && error.text[0] >= '0' && error.text[0] <= '9';
  std::string text = origin + (has_position ? ":" : ": ") + error.text;
  std::replace_if(
      text.begin(), text.end(),
      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return {ErrorCode::config, std::move(text)};
}

}  // namespace

Status complain(const std::string& path, const std::string& complaint) {
  return Status(ErrorCode::config, path + " " + complaint);
}

Result<Config> parse(std::string_view text, const std::string& origin, const LoadOptions& options) {
  const Result<Json> root = read_json(text);
  if (!root) return named(origin, root.error());
  Config config;
  if (Status status = parse_sections(*root, config); !status) return named(origin, status.error());
  if (Status status = check_whole(config, options); !status) return named(origin, status.error());
  return config;
}

Result<Config> load(const std::string& path, const LoadOptions& options) {
  const std::string file = path.empty() ? kDefaultConfigPath : path;
  std::error_code error;
  const auto status = std::filesystem::status(file, error);
  if (status.type() == std::filesystem::file_type::not_found) {
    if (path.empty()) return parse("{}", file, options);
    return Error{ErrorCode::config, file + " does not exist; name an existing file with --config"};
  }
  if (status.type() != std::filesystem::file_type::regular) {
    return Error{ErrorCode::config,
                 file + (error ? ": " + error.message() : " is not a regular file") +
                     "; name a readable file with --config"};
  }
  std::ifstream stream(file, std::ios::binary);
  if (!stream) {
    return Error{ErrorCode::config, errno_error("cannot read " + file, errno).text +
                                        "; give this process read permission"};
  }
  std::string text(kMaxFileBytes + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (stream.bad()) return Error{ErrorCode::config, "cannot read " + file + "; check the disk"};
  text.resize(static_cast<size_t>(stream.gcount()));
  if (text.size() > kMaxFileBytes) {
    return Error{ErrorCode::config, file + " is larger than 1 MiB; it is no configuration of weir"};
  }
  return parse(text, file, options);
}

std::vector<std::string> known_keys() {
  std::vector<std::string> keys;
  for (const Setting& setting : settings()) {
    keys.push_back(std::string(setting.section) + "." + std::string(setting.name));
  }
  return keys;
}

std::vector<uint32_t> usable_cores() {
  std::vector<uint32_t> cores;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return cores;
  for (uint32_t core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &set)) cores.push_back(core);
  }
  return cores;
}

}  // namespace weir::config
