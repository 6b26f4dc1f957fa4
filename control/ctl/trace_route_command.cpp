// weirctl trace route
#include <charconv>
#include <memory>
#include <string>

#include "control/ctl/conn_view.h"
#include "control/ctl/path_view.h"
#include "control/ctl/program.h"

namespace weir::ctl {
namespace {

struct TraceRouteOptions {
  std::string from;
  std::string to;
  std::string source;
  uint16_t source_port = 49152;  // the first that clients use, RFC 6335 6
};

std::optional<uint16_t> parse_port(std::string_view text) {
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

// Takes the "PORT[/PROTO]" off the end of `text`: TCP without a protocol. nullopt: it is none.
std::optional<api::FrontendKey> parse_port_and_protocol(std::string_view text) {
  const size_t slash = text.find('/');
  const auto port = parse_port(text.substr(0, slash));
  const uint8_t protocol =
      slash == std::string_view::npos ? 6 : protocol_number(text.substr(slash + 1));
  if (!port || protocol == 0) return std::nullopt;
  return api::FrontendKey{.port = *port, .protocol = protocol};
}

// ADDRESS, ADDRESS:PORT[/PROTO], [ADDRESS6]:PORT[/PROTO].
std::optional<api::FrontendKey> parse_target(std::string_view text) {
  if (const auto bare = parse_address(text)) {
    return api::FrontendKey{.address = *bare,
                            .protocol = bare->is_ip4() ? uint8_t{1} : uint8_t{58}};
  }
  const bool bracket = text.starts_with('[');
  const size_t colon = bracket ? text.find("]:") : text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const size_t start = bracket ? 1 : 0;
  const auto address = parse_address(text.substr(start, colon - start));
  auto target = parse_port_and_protocol(text.substr(colon + 1 + start));
  if (!address || !target || address->is_ip6() != bracket) return std::nullopt;
  target->address = *address;
  return target;
}

CLI::Validator is_target() {
  return {[](std::string& text) -> std::string {
            if (parse_target(text)) return {};
            return "'" + text +
                   "' is no ADDRESS, ADDRESS:PORT[/tcp|udp|sctp] or [ADDRESS6]:PORT[/tcp|udp|sctp]";
          },
          "", "target"};
}

// A pod that is named by one of its addresses sends from that one.
IpAddress source_of(const TraceRouteOptions& options) {
  if (!options.source.empty()) return *parse_address(options.source);
  return parse_address(options.from).value_or(IpAddress{});
}

Status trace_route(Session& session, const TraceRouteOptions& options) {
  auto client = session.dataplane();
  if (!client) return client.error();
  const auto ports = client->port_list();
  if (!ports) return ports.error();
  const auto from = find_port(*ports, options.from);
  if (!from) return from.error();
  const api::PathQuery query{.port_key = (*from)->config.key,
                             .source = {.address = source_of(options), .port = options.source_port},
                             .destination = *parse_target(options.to)};
  const auto path = client->trace_route(query);
  if (!path) return path.error();
  return show(session, path_json, path_text, *path, port_names(*ports));
}

}  // namespace

void add_trace_route_command(Program& program, CLI::App* trace) {
  const auto options = std::make_shared<TraceRouteOptions>();
  CLI::App* route =
      program.verb(trace, "route", "what would become of a packet; none is sent",
                   [options](Session& session) { return trace_route(session, *options); });
  route->add_option("--from", options->from, "the port or pod that would send it")
      ->type_name("PORT")
      ->required();
  route->add_option("--to", options->to, "where to; without a port an echo request")
      ->type_name("ADDRESS[:PORT[/PROTO]]")
      ->required()
      ->check(is_target());
  route->add_option("--source", options->source, "its source (default: an address of the port)")
      ->type_name("ADDRESS")
      ->check(is_address());
  route->add_option("--source-port", options->source_port, "its source port")
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::Range(1, 65535).description(""));
}

}  // namespace weir::ctl
