// The store's leases, pool cursors and routes.
#include "control/store/codec.h"
#include "control/store/store.h"

namespace weir::control {

namespace {

#define WEIR_LEASE_COLUMNS \
  "address, network, attachment, length, gateway, source, position, reserved_at, released_at"

Result<Lease> read_lease(const Query& row) {
  Lease lease;
  const bool addresses =
      read_blob(row.blob(0), lease.address) && read_blob(row.blob(4), lease.gateway);
  lease.network = row.text(1);
  lease.attachment = static_cast<uint64_t>(row.integer(2));
  lease.length = static_cast<uint8_t>(row.integer(3));
  lease.source = static_cast<LeaseSource>(row.integer(5));
  lease.position = static_cast<uint32_t>(row.integer(6));
  lease.reserved_at = row.integer(7);
  lease.released_at = row.integer(8);
  const bool source_known = row.integer(5) == 1 || row.integer(5) == 2;
  const bool length_fits = row.integer(3) >= 0 && row.integer(3) <= lease.address.bits();
  if (!addresses || lease.address.is_none() || !source_known || !length_fits)
    return row.damaged("a lease makes no sense");
  return lease;
}

// All rows of a query, each read by `read`.
template <class T>
Result<std::vector<T>> collect(Result<Query> query, Result<T> (*read)(const Query&)) {
  if (!query) return query.error();
  std::vector<T> all;
  while (true) {
    const auto row = query->next();
    if (!row) return row.error();
    if (!*row) return all;
    auto item = read(*query);
    if (!item) return item.error();
    all.push_back(std::move(*item));
  }
}

Result<Store::Cursor> read_cursor(const Query& row) {
  Store::Cursor cursor{.network = row.text(0), .pool = row.text(1), .last = {}};
  if (!read_blob(row.blob(2), cursor.last)) return row.damaged("a pool cursor makes no sense");
  return cursor;
}

Result<StoredRoute> read_route(const Query& row) {
  StoredRoute route;
  const auto prefix = parse_prefix(row.text(0));
  const bool kind_known = row.integer(1) >= 1 && row.integer(1) <= 4;
  if (!prefix || !kind_known || !read_blob(row.blob(3), route.gateway))
    return row.damaged("a route makes no sense");
  route.prefix = *prefix;
  route.kind = static_cast<api::RouteKind>(row.integer(1));
  route.port_key = static_cast<uint64_t>(row.integer(2));
  route.created = row.integer(4);
  return route;
}

}  // namespace

Status Store::put_lease(const Lease& lease) {
  Status status = database_->run(
      "INSERT INTO leases (" WEIR_LEASE_COLUMNS
      ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, NULL) "
      "ON CONFLICT (address) DO UPDATE SET network = ?2, attachment = ?3, length = ?4, gateway = "
      "?5, "
      "source = ?6, position = ?7, reserved_at = ?8, released_at = NULL WHERE attachment IS NULL",
      blob_of(lease.address), lease.network, static_cast<int64_t>(lease.attachment),
      int64_t{lease.length}, blob_of(lease.gateway), static_cast<int64_t>(lease.source),
      int64_t{lease.position}, lease.reserved_at);
  if (!status && status.error().code == ErrorCode::exists) {
    return Status(ErrorCode::not_found, "attachment " + std::to_string(lease.attachment) +
                                            " is not in the store; add it first");
  }
  if (!status || database_->changes() > 0) return status;
  return Status(ErrorCode::exists,
                to_string(lease.address) + " is taken already; release it first");
}

Status Store::rest_lease(const IpAddress& address, UnixMillis released_at) {
  return database_->run("UPDATE leases SET attachment = NULL, released_at = ?2 WHERE address = ?1",
                        blob_of(address), released_at);
}

Status Store::delete_lease(const IpAddress& address) {
  return database_->run("DELETE FROM leases WHERE address = ?1", blob_of(address));
}

Result<std::vector<Lease>> Store::leases() {
  return collect(database_->query("SELECT " WEIR_LEASE_COLUMNS " FROM leases ORDER BY address"),
                 read_lease);
}

Result<std::vector<Lease>> Store::leases_of(uint64_t attachment) {
  return collect(database_->query("SELECT " WEIR_LEASE_COLUMNS
                                  " FROM leases WHERE attachment = ?1 ORDER BY position, address",
                                  static_cast<int64_t>(attachment)),
                 read_lease);
}

Status Store::set_cursor(const Cursor& cursor) {
  return database_->run("INSERT OR REPLACE INTO cursors (network, pool, last) VALUES (?1, ?2, ?3)",
                        cursor.network, cursor.pool, blob_of(cursor.last));
}

Result<std::vector<Store::Cursor>> Store::cursors() {
  return collect(database_->query("SELECT network, pool, last FROM cursors"), read_cursor);
}

Status Store::set_route(const StoredRoute& route) {
  const UnixMillis created = route.created == 0 ? unix_millis() : route.created;
  return database_->run(
      "INSERT OR REPLACE INTO routes (prefix, kind, port_key, gateway, created) VALUES (?1, ?2, "
      "?3, ?4, ?5)",
      to_string(route.prefix), static_cast<int64_t>(route.kind),
      static_cast<int64_t>(route.port_key), blob_of(route.gateway), created);
}

Status Store::delete_route(const IpPrefix& prefix) {
  return database_->run("DELETE FROM routes WHERE prefix = ?1", to_string(prefix));
}

Result<std::vector<StoredRoute>> Store::routes() {
  return collect(database_->query(
                     "SELECT prefix, kind, port_key, gateway, created FROM routes ORDER BY prefix"),
                 read_route);
}

}  // namespace weir::control
