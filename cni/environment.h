// The CNI_* environment variables of one request, checked.
// Source: CNI SPEC 1.1.0, "Parameters", and the reference implementation's skel.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cni/error.h"

namespace weir::cni {

enum class Command : uint8_t { add, del, check, gc, status, version };

// "ADD", "DEL", ...
std::string_view to_string(Command command) noexcept;
std::optional<Command> parse_command(std::string_view text) noexcept;

inline constexpr size_t kMaxContainerId = 255;  // bytes; ours, so that an id fits in names
inline constexpr size_t kMaxIfname = 15;        // bytes; IFNAMSIZ without the zero

// CNI_ARGS, decoded: keys IP, MAC and what runtimes send about the pod.
struct Arguments {
  std::map<std::string, std::string> values;  // IgnoreUnknown is not among them

  std::string get(const std::string& key) const;  // "" = absent
};

struct Environment {
  Command command = Command::version;
  std::string container_id;
  std::string netns;  // path; may be empty for DEL
  std::string ifname;
  std::string args;  // CNI_ARGS as it came
  std::string path;  // CNI_PATH, needed by delegation only
  bool netns_override = false;
  Arguments arguments;  // empty when a DEL's CNI_ARGS cannot be decoded
  // Every variable as NAME=value, for a delegated IPAM plugin; empty without one.
  std::vector<std::string> inherited;
};

// Looks a variable up; nullptr = not set. std::getenv fits.
using VariableLookup = const char* (*)(const char* name);

// Reads and checks the variables: code 4 for an unknown or missing command, for all
// missing variables at once, for a bad id, interface name or CNI_ARGS. CNI_ARGS never
// fail a DEL: what an ADD refused must still be removable.
Outcome<Environment> read_environment(VariableLookup lookup);

// The same checks on values that came another way. Fills `arguments`.
[[nodiscard]] std::optional<Error> check_environment(Environment& environment);

// Code 8 when CNI_NETNS is the calling process's own namespace (unless overridden)
// or, for ADD and CHECK, no network namespace at all. Never opens the path, so a FIFO
// cannot block it. A DEL's missing namespace is fine.
[[nodiscard]] std::optional<Error> check_netns(const Environment& environment);

// ^[a-zA-Z0-9][a-zA-Z0-9_.-]*$, the rule for container ids and network names.
bool is_cni_name(std::string_view text) noexcept;
bool is_ifname(std::string_view text) noexcept;

// K=V;K=V. Code 4 for a malformed pair, and for unknown keys unless IgnoreUnknown is 1 or true.
Outcome<Arguments> parse_arguments(std::string_view text);

}  // namespace weir::cni
