// Services and endpoints.
#include "control/store/store.h"

namespace weir::control {

namespace {

constexpr char kService[] = "Service";
constexpr char kSlice[] = "EndpointSlice";

}  // namespace

Status Store::put_object(const StoredObject& object) {
  return database_->run(
      "INSERT OR REPLACE INTO objects (kind, space, name, service, document) "
      "VALUES (?1, ?2, ?3, ?4, ?5)",
      object.kind, object.space, object.name, object.service, object.document);
}

Status Store::delete_object(const std::string& kind, const std::string& space,
                            const std::string& name) {
  return database_->run("DELETE FROM objects WHERE kind = ?1 AND space = ?2 AND name = ?3", kind,
                        space, name);
}

Result<size_t> Store::delete_service(const std::string& space, const std::string& service) {
  const Status deleted =
      database_->run("DELETE FROM objects WHERE space = ?1 AND service = ?2 AND kind IN (?3, ?4)",
                     space, service, std::string_view(kService), std::string_view(kSlice));
  if (!deleted) return deleted.error();
  return static_cast<size_t>(database_->changes());
}

Result<std::vector<StoredObject>> Store::objects() {
  auto query = database_->query(
      "SELECT kind, space, name, service, document FROM objects ORDER BY kind DESC, space, name");
  if (!query) return query.error();
  std::vector<StoredObject> all;
  while (true) {
    const auto row = query->next();
    if (!row) return row.error();
    if (!*row) return all;
    all.push_back({query->text(0), query->text(1), query->text(2), query->text(3), query->text(4)});
  }
}

}  // namespace weir::control
