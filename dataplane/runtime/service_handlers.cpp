#include "dataplane/runtime/service_handlers.h"

namespace weir::dataplane {

namespace {

Replies group_set(ServiceTable& services, const Message& request) {
  return each<api::Backend>(
      request, [&](const api::Backend& record) { return services.set_backend(record); });
}

Replies group_delete(ServiceTable& services, const Message& request) {
  return each<api::ListKey>(
      request, [&](const api::ListKey& list) { return services.erase_group(list.key); });
}

Replies prefix_set(Dataplane& dataplane, const Message& request) {
  return each<api::PrefixMember>(
      request, [&](const api::PrefixMember& record) { return dataplane.set_prefix(record); });
}

Replies prefix_delete(ServiceTable& services, const Message& request) {
  return each<api::ListKey>(
      request, [&](const api::ListKey& list) { return services.erase_prefixes(list.key); });
}

Replies frontend_set(ServiceTable& services, const Message& request) {
  return each<api::Frontend>(
      request, [&](const api::Frontend& frontend) { return services.set_frontend(frontend); });
}

Replies frontend_delete(ServiceTable& services, const Message& request) {
  return each<api::FrontendKey>(
      request, [&](const api::FrontendKey& key) { return services.erase_frontend(key); });
}

Replies frontend_list(const ServiceTable& services) {
  std::vector<api::FrontendState> all;
  all.reserve(services.size());
  services.for_each_frontend([&all](const api::FrontendState& state) { all.push_back(state); });
  return records(all);
}

Replies group_list(const ServiceTable& services, const Message& request) {
  std::vector<api::BackendState> all;
  const Status listed =
      services.for_each_backend(argument<api::ListKey>(request).key,
                                [&all](const api::BackendState& state) { all.push_back(state); });
  return listed ? records(all) : failure(listed.error());
}

Replies service_settings(Dataplane& dataplane, const Message& request) {
  const Status set = dataplane.set_service_settings(argument<api::ServiceSettings>(request));
  return set ? Replies(1) : failure(set.error());
}

}  // namespace

Replies answer_service(Dataplane& dataplane, const Message& request) {
  switch (request.header.type) {
    case MessageType::group_set: return group_set(dataplane.services(), request);
    case MessageType::group_delete: return group_delete(dataplane.services(), request);
    case MessageType::prefix_set: return prefix_set(dataplane, request);
    case MessageType::prefix_delete: return prefix_delete(dataplane.services(), request);
    case MessageType::frontend_set: return frontend_set(dataplane.services(), request);
    case MessageType::frontend_delete: return frontend_delete(dataplane.services(), request);
    case MessageType::frontend_list: return frontend_list(dataplane.services());
    case MessageType::group_list: return group_list(dataplane.services(), request);
    case MessageType::service_settings: return service_settings(dataplane, request);
    case MessageType::connection_list:
      return records(dataplane.list_connections(argument<api::ConnectionQuery>(request)));
    default: return record(dataplane.connections().stats());
  }
}

}  // namespace weir::dataplane
