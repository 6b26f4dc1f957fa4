// A CNI request as it travels from the shim to weir-control, and as the spool keeps it.
#pragma once

#include <string>
#include <string_view>

#include "cni/environment.h"
#include "cni/json.h"

namespace weir::cni {

struct Request {
  Environment environment;
  std::string config;  // stdin verbatim: a delegate must see the same bytes
};

// "cni.add", ...; the parser wants exactly these.
std::string method_name(Command command);
std::optional<Command> parse_method(std::string_view method) noexcept;

// {containerId, netns, ifname, args, path, netnsOverride, config}, and environment, a
// list of NAME=value, with a delegated IPAM
Json request_params(const Request& request);

// The receiving side: checks types and repeats every check on the environment, since a
// peer may be anything. The configuration is not parsed here. Code 6 or 4.
Outcome<Request> parse_request(Command command, const Json& params);

}  // namespace weir::cni
