#include "cni/environment.h"

#include <linux/magic.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <vector>

#include "cni/json.h"

namespace weir::cni {
namespace {

constexpr std::array<std::string_view, 6> kCommands{"ADD", "DEL",    "CHECK",
                                                    "GC",  "STATUS", "VERSION"};

// Keys that weir uses or that every Kubernetes runtime sends.
constexpr std::string_view kKnownArguments[] = {
    "IP", "MAC", "K8S_POD_NAMESPACE", "K8S_POD_NAME", "K8S_POD_INFRA_CONTAINER_ID", "K8S_POD_UID",
    "WEIR_LABELS"};

Error environment_error(std::string msg, std::string details = {}) {
  return {Code::invalid_environment, std::move(msg), std::move(details)};
}

bool is_true(const std::string& text) {
  return text == "1" || strcasecmp(text.c_str(), "true") == 0;
}

std::string join(const std::vector<std::string>& items) {
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : ", ") + item;
  return text;
}

// Text for messages: a 4 KiB id would make them unreadable.
std::string quote(std::string_view text) {
  constexpr size_t kShown = 64;
  return "\"" + std::string(text.substr(0, kShown)) + (text.size() > kShown ? "..." : "") + "\"";
}

bool needs_attachment(Command command) {
  return command == Command::add || command == Command::del || command == Command::check;
}

std::optional<Error> check_missing(const Environment& environment) {
  if (!needs_attachment(environment.command)) return std::nullopt;
  std::vector<std::string> missing;
  if (environment.container_id.empty()) missing.emplace_back("CNI_CONTAINERID");
  if (environment.netns.empty() && environment.command != Command::del) {
    missing.emplace_back("CNI_NETNS");
  }
  if (environment.ifname.empty()) missing.emplace_back("CNI_IFNAME");
  if (missing.empty()) return std::nullopt;
  return environment_error(
      "required environment variables are missing: " + join(missing),
      "set them for CNI_COMMAND=" + std::string(to_string(environment.command)));
}

std::optional<Error> check_names(const Environment& environment) {
  const std::string& id = environment.container_id;
  if (id.size() > kMaxContainerId || !is_cni_name(id)) {
    return environment_error(
        "CNI_CONTAINERID " + quote(id) + " is not valid",
        "use at most 255 letters, digits, '_', '.' and '-', starting with a letter or digit");
  }
  if (!is_ifname(environment.ifname)) {
    return environment_error("CNI_IFNAME " + quote(environment.ifname) + " is not valid",
                             "use 1 to 15 bytes without '/', ':' and white space, not . or ..");
  }
  return std::nullopt;
}

std::optional<Error> check_encoding(const Environment& environment) {
  for (const std::string* value :
       {&environment.netns, &environment.ifname, &environment.args, &environment.path}) {
    if (!is_utf8(*value)) {
      return environment_error("a CNI_* variable is not valid UTF-8: " + quote(*value));
    }
  }
  return std::nullopt;
}

Error netns_error(const Environment& environment, std::string_view why) {
  return {Code::invalid_netns,
          "CNI_NETNS " + quote(environment.netns) + " cannot be used: " + std::string(why),
          {}};
}

}  // namespace

std::string_view to_string(Command command) noexcept {
  return kCommands[static_cast<size_t>(command)];
}

std::optional<Command> parse_command(std::string_view text) noexcept {
  const auto found = std::ranges::find(kCommands, text);
  if (found == kCommands.end()) return std::nullopt;
  return static_cast<Command>(found - kCommands.begin());
}

std::string Arguments::get(const std::string& key) const {
  const auto found = values.find(key);
  return found == values.end() ? std::string() : found->second;
}

bool is_cni_name(std::string_view text) noexcept {
  const auto alphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return !text.empty() && alphanumeric(text.front()) && std::ranges::all_of(text, [&](char c) {
    return alphanumeric(c) || c == '_' || c == '.' || c == '-';
  });
}

bool is_ifname(std::string_view text) noexcept {
  constexpr std::string_view kForbidden("/: \t\n\v\f\r\0", 9);
  return !text.empty() && text.size() <= kMaxIfname && text != "." && text != ".." &&
         text.find_first_of(kForbidden) == text.npos;
}

Outcome<Arguments> parse_arguments(std::string_view text) {
  Arguments arguments;
  std::vector<std::string> unknown;
  bool ignore_unknown = false;
  while (!text.empty()) {
    const std::string_view pair = text.substr(0, text.find(';'));
    text.remove_prefix(std::min(text.size(), pair.size() + 1));
    const size_t equals = pair.find('=');
    if (equals == 0 || equals == pair.npos || pair.find('=', equals + 1) != pair.npos) {
      return environment_error("CNI_ARGS has a malformed pair " + quote(pair),
                               "write KEY=VALUE;KEY=VALUE");
    }
    std::string key(pair.substr(0, equals));
    std::string value(pair.substr(equals + 1));
    if (key == "IgnoreUnknown") {
      ignore_unknown = is_true(value);
      continue;
    }
    if (std::ranges::find(kKnownArguments, key) == std::end(kKnownArguments)) {
      unknown.push_back(key);
    }
    arguments.values.insert_or_assign(std::move(key), std::move(value));
  }
  if (!unknown.empty() && !ignore_unknown) {
    return environment_error("CNI_ARGS has unknown keys: " + join(unknown),
                             "add IgnoreUnknown=1 to pass keys that weir does not know");
  }
  return arguments;
}

std::optional<Error> check_environment(Environment& environment) {
  if (auto error = check_missing(environment)) return error;
  if (auto error = check_encoding(environment)) return error;
  if (!needs_attachment(environment.command)) return std::nullopt;
  if (auto error = check_names(environment)) return error;
  Outcome<Arguments> arguments = parse_arguments(environment.args);
  if (arguments) {
    environment.arguments = *std::move(arguments);
  } else if (environment.command != Command::del) {
    return arguments.error();
  }
  return std::nullopt;
}

Outcome<Environment> read_environment(VariableLookup lookup) {
  const auto variable = [lookup](const char* name) {
    const char* value = lookup(name);
    return std::string(value == nullptr ? "" : value);
  };
  const std::string name = variable("CNI_COMMAND");
  if (name.empty()) {
    return environment_error("required environment variables are missing: CNI_COMMAND",
                             "a container runtime runs this program; see the CNI specification");
  }
  const std::optional<Command> command = parse_command(name);
  if (!command) {
    return environment_error("CNI_COMMAND " + quote(name) + " is unknown",
                             "use ADD, DEL, CHECK, GC, STATUS or VERSION");
  }
  Environment environment;
  environment.command = *command;
  if (*command == Command::version) return environment;
  environment.container_id = variable("CNI_CONTAINERID");
  environment.netns = variable("CNI_NETNS");
  environment.ifname = variable("CNI_IFNAME");
  environment.args = variable("CNI_ARGS");
  environment.path = variable("CNI_PATH");
  environment.netns_override = is_true(variable("CNI_NETNS_OVERRIDE"));
  if (auto error = check_environment(environment)) return *error;
  return environment;
}

std::optional<Error> check_netns(const Environment& environment) {
  if (!needs_attachment(environment.command) || environment.netns.empty()) return std::nullopt;
  const bool required = environment.command != Command::del;
  struct stat theirs {};
  if (stat(environment.netns.c_str(), &theirs) != 0) {
    if (!required) return std::nullopt;
    return netns_error(environment, std::generic_category().message(errno));
  }
  struct stat own {};
  if (!environment.netns_override && stat("/proc/thread-self/ns/net", &own) == 0 &&
      own.st_dev == theirs.st_dev && own.st_ino == theirs.st_ino) {
    return netns_error(environment, "it is the network namespace that the plugin runs in");
  }
  struct statfs system {};
  const bool is_namespace = statfs(environment.netns.c_str(), &system) == 0 &&
                            static_cast<uint64_t>(system.f_type) == NSFS_MAGIC;
  if (required && !is_namespace) return netns_error(environment, "it is no network namespace");
  return std::nullopt;
}

}  // namespace weir::cni
