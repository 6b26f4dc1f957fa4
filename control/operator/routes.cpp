// route.add, route.del, route.list
#include <algorithm>

#include "control/cni/cni_error.h"
#include "control/operator/methods.h"
#include "control/reconcile/routes.h"

namespace weir::control {

namespace {

cni::Error wrong(std::string what) {
  return {cni::Code::invalid_config, std::move(what), "see 'weirctl route add --help'"};
}

cni::Outcome<IpPrefix> read_prefix(const cni::Json& params) {
  cni::FieldReader reader(params, "params");
  const std::string text = reader.text("prefix");
  if (reader.error()) return *reader.error();
  const auto prefix = parse_prefix(text);
  if (!prefix) return wrong("'" + text + "' is no prefix");
  return *prefix;
}

cni::Outcome<StoredRoute> read_via(const std::string& via, StoredRoute route) {
  const auto gateway = parse_address(via);
  if (!gateway) return wrong("'" + via + "' is no address");
  if (gateway->family != route.prefix.address.family) {
    return wrong("the gateway " + via + " is of another family than the prefix");
  }
  route.kind = api::RouteKind::gateway;
  route.gateway = *gateway;
  return route;
}

cni::Outcome<StoredRoute> read_route(const cni::Json& params) {
  const auto prefix = read_prefix(params);
  if (!prefix) return prefix.error();
  cni::FieldReader reader(params, "params");
  const std::string via = reader.text("via");
  const auto port = reader.integer("port", 1, INT64_MAX);
  const std::string kind = reader.text("kind");
  if (reader.error()) return *reader.error();
  if ((!via.empty() ? 1 : 0) + (port ? 1 : 0) + (!kind.empty() ? 1 : 0) != 1) {
    return wrong("a route needs exactly one of via, port and kind");
  }
  StoredRoute route{.prefix = *prefix};
  if (!via.empty()) return read_via(via, route);
  if (port) {
    route.kind = api::RouteKind::port;
    route.port_key = static_cast<uint64_t>(*port);
    return route;
  }
  if (kind != "blackhole" && kind != "unreachable")
    return wrong("'" + kind + "' is no kind of route");
  route.kind = kind == "blackhole" ? api::RouteKind::blackhole : api::RouteKind::unreachable;
  return route;
}

cni::Json route_json(const StoredRoute& route) {
  cni::Json json{{"prefix", to_string(route.prefix)}};
  switch (route.kind) {
    case api::RouteKind::gateway: json["via"] = to_string(route.gateway); break;
    case api::RouteKind::port: json["port"] = route.port_key; break;
    case api::RouteKind::blackhole: json["kind"] = "blackhole"; break;
    default: json["kind"] = "unreachable"; break;
  }
  return json;
}

cni::Json prefix_json(const IpPrefix& prefix) { return {{"prefix", to_string(prefix)}}; }

Task<Status> apply(Controller& controller, std::optional<api::Route> route, IpPrefix prefix) {
  const auto ask = [route, prefix](api::Client& client) {
    if (route) return client.route_set(std::span(&*route, 1));
    const api::Route gone{.prefix = prefix};
    return client.route_delete(std::span(&gone, 1));
  };
  co_return co_await controller.dataplane.call<Status>(ask);
}

Result<std::optional<StoredRoute>> find_stored(Controller& controller, const IpPrefix& prefix) {
  const auto routes = controller.store.routes();
  if (!routes) return routes.error();
  const auto found = std::ranges::find(*routes, prefix, &StoredRoute::prefix);
  return found == routes->end() ? std::optional<StoredRoute>() : *found;
}

}  // namespace

Task<cni::Outcome<cni::Json>> add_route(Controller& controller, cni::Json params) {
  const auto route = read_route(params);
  if (!route) co_return route.error();
  const auto lock = co_await controller.locks.lock(kRouteLock);
  const auto before = find_stored(controller, route->prefix);
  if (!before) co_return cni_error(before.error());
  const Status applied = co_await apply(controller, api_route(*route), route->prefix);
  if (!applied) co_return cni_error(applied.error(), "the dataplane did not take the route");
  const Status stored = controller.store.set_route(*route);
  if (stored) co_return route_json(*route);
  const auto old =
      *before ? std::optional(api_route(**before)) : route_beneath(controller, route->prefix);
  const Status restored = co_await apply(controller, old, route->prefix);
  static_cast<void>(restored);  // without a connection the next replay does it
  co_return cni_error(stored.error(), "the route cannot be kept");
}

Task<cni::Outcome<cni::Json>> delete_route(Controller& controller, cni::Json params) {
  const auto prefix = read_prefix(params);
  if (!prefix) co_return prefix.error();
  const auto lock = co_await controller.locks.lock(kRouteLock);
  const auto there = find_stored(controller, *prefix);
  if (!there) co_return cni_error(there.error());
  if (!*there) {
    co_return cni::Error{cni::Code::unknown_container,
                         "no route to " + to_string(*prefix) + " was configured",
                         "'weirctl route list' shows which were"};
  }
  const Status applied = co_await apply(controller, route_beneath(controller, *prefix), *prefix);
  // A dataplane that is away has its routes swept by the next replay.
  if (!applied && applied.error().code != ErrorCode::unavailable) {
    co_return cni_error(applied.error(), "the dataplane did not remove the route");
  }
  const Status forgotten = controller.store.delete_route(*prefix);
  if (forgotten) co_return prefix_json(*prefix);
  const Status restored = co_await apply(controller, api_route(**there), *prefix);
  static_cast<void>(restored);  // without a connection the next replay does it
  co_return cni_error(forgotten.error(), "the route cannot be forgotten");
}

cni::Outcome<cni::Json> list_routes(Controller& controller) {
  const auto routes = controller.store.routes();
  if (!routes) return cni_error(routes.error());
  cni::Json list = cni::Json::array();
  for (const StoredRoute& route : *routes) list.push_back(route_json(route));
  return list;
}

}  // namespace weir::control
