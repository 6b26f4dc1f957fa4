// service.apply, service.delete
#include "control/cni/cni_error.h"
#include "control/operator/methods.h"
#include "control/services/parse.h"

namespace weir::control {

namespace {

using cni::Json;

struct Given {
  ServiceObjects objects;
  std::vector<StoredObject> rows;
};

StoredObject row_of(const Json& document, const ServiceObjects& objects) {
  const bool slice = is_slice(document);
  const ObjectName name = slice ? objects.slices.back().name : objects.services.back().name;
  return {.kind = slice ? "EndpointSlice" : "Service",
          .space = name.space,
          .name = name.name,
          .service = slice ? objects.slices.back().service : name.name,
          .document = document.dump(-1, ' ', false, Json::error_handler_t::replace)};
}

// Everything is parsed before anything is kept.
cni::Outcome<Given> read_given(const Json& params) {
  cni::FieldReader reader(params, "params");
  const std::string text = reader.text("text");
  if (reader.error()) return *reader.error();
  const auto document = cni::parse_json(text, cni::Keys::verbatim);
  if (!document) return document.error();
  const auto flat = flatten_objects(*document);
  if (!flat) return flat.error();
  Given given;
  for (const Json& one : *flat) {
    const auto parsed = parse_object(one, given.objects);
    if (!parsed) return parsed.error();
    given.rows.push_back(row_of(one, given.objects));
  }
  return given;
}

// In one transaction, so that a file is kept whole or not at all.
Status store_rows(Store& store, const std::vector<StoredObject>& rows) {
  Result<Transaction> transaction = store.begin();
  if (!transaction) return transaction.error();
  for (const StoredObject& row : rows) {
    if (const Status put = store.put_object(row); !put) return put;
  }
  return transaction->commit();
}

// What is kept, and whether the dataplane has it already.
Json receipt(Json objects, const Status& sent) {
  return {{"objects", std::move(objects)},
          {"sent", static_cast<bool>(sent)},
          {"reason", sent ? "" : sent.error().text}};
}

Json names_of(const std::vector<StoredObject>& rows) {
  Json names = Json::array();
  for (const StoredObject& row : rows) {
    names.push_back({{"kind", row.kind}, {"name", row.space + "/" + row.name}});
  }
  return names;
}

// Deleting what a file describes would last until the next SIGHUP only.
cni::Error not_there(const Controller& controller, const ObjectName& name) {
  const auto found = controller.services.find(name);
  if (!found) {
    return {cni::Code::unknown_container, "there is no service " + to_string(name),
            "'weirctl service list' shows which there are"};
  }
  return {cni::Code::invalid_config,
          "the service " + to_string(name) + " comes from the " + to_text(found->source),
          "take it out of its file there, and have weir-control read the directory with SIGHUP"};
}

}  // namespace

cni::Outcome<ObjectName> read_service_name(const Json& params) {
  cni::FieldReader reader(params, "params");
  ObjectName name{reader.text("namespace"), reader.text("name")};
  if (reader.error()) return *reader.error();
  if (name.space.empty()) name.space = kDefaultNamespace;
  return name;
}

Task<cni::Outcome<Json>> apply_services(Controller& controller, Json params) {
  auto given = read_given(params);
  if (!given) co_return given.error();
  const Status stored = store_rows(controller.store, given->rows);
  if (!stored) co_return cni_error(stored.error(), "the services cannot be kept");
  controller.services.put(ServiceSource::operator_given, std::move(given->objects));
  const Status sent = co_await controller.service_sync.flush();
  co_return receipt(names_of(given->rows), sent);
}

Task<cni::Outcome<Json>> delete_service(Controller& controller, Json params) {
  const auto name = read_service_name(params);
  if (!name) co_return name.error();
  const Result<size_t> deleted = controller.store.delete_service(name->space, name->name);
  if (!deleted) co_return cni_error(deleted.error(), "the service cannot be forgotten");
  if (!controller.services.remove(ServiceSource::operator_given, *name)) {
    co_return not_there(controller, *name);
  }
  const Status sent = co_await controller.service_sync.flush();
  co_return receipt(to_string(*name), sent);
}

}  // namespace weir::control
