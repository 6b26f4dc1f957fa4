// weirctl route list | get | add | del
//
// Routes that are applied come from the dataplane; changes go to weir-control, which
// keeps them over restarts of either side.
#include <memory>
#include <string>

#include "control/ctl/port_view.h"
#include "control/ctl/program.h"
#include "control/ctl/route_view.h"

namespace weir::ctl {
namespace {

using Text = std::shared_ptr<std::string>;

Status list_routes(Session& session) {
  auto client = session.dataplane();
  if (!client) return client.error();
  auto routes = client->route_list();
  if (!routes) return routes.error();
  const auto ports = client->port_list();
  if (!ports) return ports.error();
  sort_routes(*routes);
  return show(session, routes_json, routes_text, *routes, port_names(*ports));
}

Status get_route(Session& session, const std::string& text) {
  auto client = session.dataplane();
  if (!client) return client.error();
  const auto address = parse_address(text);
  if (!address) return {ErrorCode::invalid_argument, "'" + text + "' is no address"};
  const auto route = client->route_lookup(*address);
  if (!route && route.error().code != ErrorCode::not_found) return route.error();
  if (!route || route->kind == api::RouteKind::none) {
    return {ErrorCode::not_found, "no route to " + text +
                                      ": packets are dropped as route_none; 'weirctl route add' "
                                      "adds one"};
  }
  const auto ports = client->port_list();
  if (!ports) return ports.error();
  const PortNames names = port_names(*ports);
  const auto text_of = [](const api::Route& one, const PortNames& known) {
    return routes_text({&one, 1}, known);
  };
  return show(session, route_json, text_of, *route, names);
}

// A change prints the route as given, so that scripts see what was done.
Status change(Session& session, const char* method, const Json& params) {
  const auto result = session.control(method, params);
  if (!result) return result.error();
  if (session.json) session.out << dump({{"prefix", params["prefix"]}, {"changed", true}});
  return {};
}

Status add_to_port(Session& session, const std::string& prefix, const std::string& reference) {
  auto client = session.dataplane();
  if (!client) return client.error();
  const auto ports = client->port_list();
  if (!ports) return ports.error();
  const auto port = find_port(*ports, reference);
  if (!port) return port.error();
  return change(session, "route.add", {{"prefix", prefix}, {"port", (*port)->config.key}});
}

void add_add_command(Program& program, CLI::App* route) {
  const auto prefix = std::make_shared<std::string>();
  const auto target = std::make_shared<std::string>();
  CLI::App* add = Program::group(route, "add", "adds or replaces a route; kept over restarts");
  add->add_option("prefix", *prefix, "its destination")
      ->type_name("PREFIX")
      ->required()
      ->check(is_prefix());
  program
      .verb(add, "via", "to the port that leases this address, or to this neighbour on an uplink",
            [prefix, target](Session& session) {
              return change(session, "route.add", {{"prefix", *prefix}, {"via", *target}});
            })
      ->add_option("gateway", *target, "the gateway's address")
      ->type_name("GATEWAY")
      ->required()
      ->check(is_address());
  program
      .verb(add, "port", "to a port",
            [prefix, target](Session& session) { return add_to_port(session, *prefix, *target); })
      ->add_option("port", *target, "its key, name or address")
      ->type_name("PORT")
      ->required();
  for (const char* kind : {"blackhole", "unreachable"}) {
    const bool silent = std::string_view(kind) == "blackhole";
    program.verb(add, kind, silent ? "dropped in silence" : "answered by an ICMP error",
                 [prefix, kind](Session& session) {
                   return change(session, "route.add", {{"prefix", *prefix}, {"kind", kind}});
                 });
  }
}

}  // namespace

void add_route_commands(Program& program) {
  CLI::App* route = program.noun("route", "routes of the dataplane");
  program.verb(route, "list", "all routes, the pods' own included", list_routes);
  const auto address = std::make_shared<std::string>();
  program
      .verb(route, "get", "the route that a destination takes",
            [address](Session& session) { return get_route(session, *address); })
      ->add_option("address", *address, "the destination")
      ->type_name("ADDRESS")
      ->required()
      ->check(is_address());
  add_add_command(program, route);
  const auto prefix = std::make_shared<std::string>();
  program
      .verb(route, "del", "removes a configured route",
            [prefix](Session& session) {
              return change(session, "route.del", {{"prefix", *prefix}});
            })
      ->add_option("prefix", *prefix, "its destination")
      ->type_name("PREFIX")
      ->required()
      ->check(is_prefix());
}

}  // namespace weir::ctl
