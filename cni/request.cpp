#include "cni/request.h"

#include <algorithm>
#include <cctype>

namespace weir::cni {
namespace {

constexpr Command kCommands[] = {Command::add, Command::del,    Command::check,
                                 Command::gc,  Command::status, Command::version};

}  // namespace

std::string method_name(Command command) {
  std::string name = "cni.";
  for (const unsigned char c : to_string(command)) name += static_cast<char>(std::tolower(c));
  return name;
}

std::optional<Command> parse_method(std::string_view method) noexcept {
  for (const Command command : kCommands) {
    if (method_name(command) == method) return command;
  }
  return std::nullopt;
}

Json request_params(const Request& request) {
  const Environment& environment = request.environment;
  Json params{{"containerId", environment.container_id},
              {"netns", environment.netns},
              {"ifname", environment.ifname},
              {"args", environment.args},
              {"path", environment.path},
              {"netnsOverride", environment.netns_override},
              {"config", request.config}};
  if (!environment.inherited.empty()) params["environment"] = environment.inherited;
  return params;
}

Outcome<Request> parse_request(Command command, const Json& params) {
  FieldReader reader(params, "params");
  Request request;
  Environment& environment = request.environment;
  environment.command = command;
  environment.container_id = reader.text("containerId");
  environment.netns = reader.text("netns");
  environment.ifname = reader.text("ifname");
  environment.args = reader.text("args");
  environment.path = reader.text("path");
  environment.netns_override = reader.boolean("netnsOverride");
  environment.inherited = reader.texts("environment");
  request.config = reader.text("config");
  if (reader.error()) return *reader.error();
  if (auto error = check_environment(environment)) return *error;
  return request;
}

}  // namespace weir::cni
