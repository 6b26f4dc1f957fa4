#include "dataplane/runtime/api_handlers.h"

#include <unistd.h>

#include <algorithm>

#include "dataplane/runtime/replies.h"
#include "dataplane/runtime/service_handlers.h"

namespace weir::dataplane {

namespace {

Replies hello(const Dataplane& dataplane) {
  api::Hello self{.pid = static_cast<uint32_t>(getpid()), .instance = dataplane.instance()};
  api::set_text(self.name, "weir-dataplane");
  api::set_text(self.build, WEIR_VERSION);
  return record(self);
}

Replies replay_begin(Dataplane& dataplane, const Message& request) {
  const auto replay = argument<api::Replay>(request);
  if (replay.generation == 0) return failure({ErrorCode::invalid_argument, "a generation must not be 0"});
  dataplane.replay_begin(replay.generation);
  return record(replay);
}

Replies replay_end(Dataplane& dataplane, const Message& request) {
  const auto result = dataplane.replay_end(argument<api::Replay>(request).generation);
  return result ? record(*result) : failure(result.error());
}

// Texts from outside end with a zero, whatever the sender did.
void terminate_texts(api::PortConfig& config) {
  config.name.back() = 0;
  config.ifname.back() = 0;
  config.socket_path.back() = 0;
}

Replies port_set(Dataplane& dataplane, Message& request) {
  if (request.header.count != 1) return failure({ErrorCode::invalid_argument, "port_set takes one port"});
  auto config = argument<api::PortConfig>(request);
  terminate_texts(config);
  api::Fd tap = request.fds.empty() ? api::Fd{} : std::move(request.fds.front());
  const auto state = dataplane.ports().set(config, std::move(tap), dataplane.generation());
  return state ? record(*state) : failure(state.error());
}

Replies port_limit(Dataplane& dataplane, const Message& request) {
  const Status limited = dataplane.ports().limit(argument<api::PortLimits>(request));
  return limited ? Replies(1) : failure(limited.error());
}

Replies uplink_set(Dataplane& dataplane, const Message& request) {
  if (request.header.count != 1) return failure({ErrorCode::invalid_argument, "uplink_set takes one uplink"});
  auto config = argument<api::UplinkConfig>(request);
  config.name.back() = 0;
  config.devargs.back() = 0;
  const auto state = dataplane.uplinks().set(config, dataplane.generation());
  return state ? record(*state) : failure(state.error());
}

Replies port_delete(Dataplane& dataplane, const Message& request) {
  for (const auto& port : request.records<api::PortKey>()) dataplane.ports().remove(port.key);
  return Replies(1);
}

Replies route_set(Dataplane& dataplane, const Message& request) {
  return each<api::Route>(request, [&](const api::Route& route) { return dataplane.routes().set(route); });
}

Replies route_delete(Dataplane& dataplane, const Message& request) {
  return each<api::Route>(request, [&](const api::Route& route) { return dataplane.routes().erase(route.prefix); });
}

Replies route_list(const RouteTable& table) {
  std::vector<api::Route> all;
  all.reserve(table.size());
  table.for_each([&all](const api::Route& route) { all.push_back(route); });
  return records(all);
}

Replies route_lookup(Dataplane& dataplane, const Message& request) {
  const IpAddress address = argument<api::RouteLookup>(request).address;
  const auto route = dataplane.routes().lookup(address);
  if (!route) return failure({ErrorCode::not_found, "no route to " + to_string(address)});
  return record(*route);
}

Replies worker_list(const Dataplane& dataplane) {
  std::vector<api::WorkerState> states;
  for (const Worker* worker : dataplane.workers()) worker->state(states.emplace_back());
  return records(states);
}

Replies drop_list(Dataplane& dataplane, const Message& request) {
  const auto counts = dataplane.ports().drops(argument<api::PortKey>(request).key);
  if (!counts) return failure(counts.error());
  std::vector<api::DropCounter> counters(kDropCount);
  for (size_t i = 0; i < kDropCount; ++i) {
    api::set_text(counters[i].name, kDrops[i].name);
    api::set_text(counters[i].text, kDrops[i].text);
    counters[i].packets = (*counts)[i];
  }
  return records(counters);
}

Replies trace_start(Dataplane& dataplane, const Message& request) {
  dataplane.trace(argument<api::TraceFilter>(request));
  return Replies(1);
}

Replies trace_route(Dataplane& dataplane, const Message& request) {
  const auto path = dataplane.trace_route(argument<api::PathQuery>(request));
  return path ? record(*path) : failure(path.error());
}

}  // namespace

Replies answer(Dataplane& dataplane, Message& request) {
  switch (request.header.type) {
    case MessageType::hello: return hello(dataplane);
    case MessageType::status: return record(dataplane.status());
    case MessageType::replay_begin: return replay_begin(dataplane, request);
    case MessageType::replay_end: return replay_end(dataplane, request);
    case MessageType::port_set: return port_set(dataplane, request);
    case MessageType::port_delete: return port_delete(dataplane, request);
    case MessageType::port_limit: return port_limit(dataplane, request);
    case MessageType::uplink_set: return uplink_set(dataplane, request);
    case MessageType::neighbor_list: return records(dataplane.uplinks().neighbors());
    case MessageType::port_list: return records(dataplane.ports().list());
    case MessageType::route_set: return route_set(dataplane, request);
    case MessageType::route_delete: return route_delete(dataplane, request);
    case MessageType::route_list: return route_list(dataplane.routes());
    case MessageType::route_lookup: return route_lookup(dataplane, request);
    case MessageType::worker_list: return worker_list(dataplane);
    case MessageType::drop_list: return drop_list(dataplane, request);
    case MessageType::trace_start: return trace_start(dataplane, request);
    case MessageType::trace_read: return records(dataplane.read_trace());
    case MessageType::trace_route: return trace_route(dataplane, request);
    case MessageType::group_set:
    case MessageType::group_delete:
    case MessageType::prefix_set:
    case MessageType::prefix_delete:
    case MessageType::frontend_set:
    case MessageType::frontend_delete:
    case MessageType::frontend_list:
    case MessageType::group_list:
    case MessageType::service_settings:
    case MessageType::connection_list:
    case MessageType::connection_stats: return answer_service(dataplane, request);
  }
  return failure({ErrorCode::unsupported, "this weir-dataplane does not know request " +
                                              std::to_string(static_cast<int>(request.header.type))});
}

}  // namespace weir::dataplane
