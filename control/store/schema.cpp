#include "control/store/schema.h"

#include <array>
#include <string>

namespace weir::control {

namespace {

constexpr int64_t kApplicationId = 0x77656972;  // "weir"

// kMigrations[n] takes user_version n to n + 1. Steps that were released never change.
//
// attachments.id is the dataplane's port key: AUTOINCREMENT, so it is never used again.
// leases.attachment is NULL while a released address rests.
constexpr std::array<const char*, 3> kMigrations{R"sql(
CREATE TABLE meta (
  key   TEXT PRIMARY KEY NOT NULL,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE attachments (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  network       TEXT NOT NULL,
  container_id  TEXT NOT NULL,
  ifname        TEXT NOT NULL,
  netns         TEXT NOT NULL,
  port_kind     INTEGER NOT NULL,
  mac           BLOB NOT NULL,
  mtu           INTEGER NOT NULL,
  config        TEXT NOT NULL,
  args          TEXT NOT NULL,
  cni_version   TEXT NOT NULL,
  result        TEXT NOT NULL,
  pod_name      TEXT NOT NULL,
  pod_namespace TEXT NOT NULL,
  state         INTEGER NOT NULL,
  created       INTEGER NOT NULL,
  UNIQUE (network, container_id, ifname)
) STRICT;

CREATE TABLE leases (
  address     BLOB PRIMARY KEY NOT NULL,
  network     TEXT NOT NULL,
  attachment  INTEGER REFERENCES attachments (id),
  length      INTEGER NOT NULL,
  gateway     BLOB NOT NULL,
  source      INTEGER NOT NULL,
  position    INTEGER NOT NULL,
  reserved_at INTEGER NOT NULL,
  released_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX leases_of_attachment ON leases (attachment, position) WHERE attachment IS NOT NULL;

CREATE TABLE cursors (
  network TEXT NOT NULL,
  pool    TEXT NOT NULL,
  last    BLOB NOT NULL,
  PRIMARY KEY (network, pool)
) STRICT, WITHOUT ROWID;

CREATE TABLE routes (
  prefix   TEXT PRIMARY KEY NOT NULL,
  kind     INTEGER NOT NULL,
  port_key INTEGER NOT NULL,
  gateway  BLOB NOT NULL,
  created  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
)sql",
                                                 R"sql(
ALTER TABLE attachments ADD COLUMN environment TEXT NOT NULL DEFAULT '';
)sql",
                                                 R"sql(
CREATE TABLE objects (
  kind     TEXT NOT NULL,
  space    TEXT NOT NULL,
  name     TEXT NOT NULL,
  service  TEXT NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (kind, space, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX objects_of_service ON objects (space, service);
)sql"};

Result<int64_t> pragma(Database& database, const char* sql) {
  auto query = database.query(sql);
  if (!query) return query.error();
  const auto row = query->next();
  if (!row) return row.error();
  return *row ? query->integer(0) : 0;
}

Status step(Database& database, int from) {
  auto transaction = Transaction::begin(database);
  if (!transaction) return transaction.error();
  const std::string version = std::to_string(from + 1);
  if (Status status = database.execute(kMigrations.at(static_cast<size_t>(from))); !status)
    return status;
  if (Status status = database.execute("PRAGMA user_version = " + version); !status) return status;
  return transaction->commit();
}

}  // namespace

int schema_version() noexcept { return static_cast<int>(kMigrations.size()); }

Status migrate(Database& database) {
  const auto version = pragma(database, "PRAGMA user_version");
  if (!version) return version.error();
  const auto application = pragma(database, "PRAGMA application_id");
  if (!application) return application.error();
  const auto tables = pragma(database, "SELECT count(*) FROM sqlite_schema");
  if (!tables) return tables.error();
  if (*tables > 0 && (*application != kApplicationId || *version == 0)) {
    return database.mark_damaged("its tables are not weir's");
  }
  if (*version > schema_version()) {
    return Status(ErrorCode::version,
                  "the store has schema " + std::to_string(*version) +
                      ", which a newer weir wrote; run that version or move the file away");
  }
  if (*tables == 0) {
    Status status = database.execute("PRAGMA application_id = " + std::to_string(kApplicationId));
    if (!status) return status;
  }
  for (int from = static_cast<int>(*version); from < schema_version(); ++from) {
    if (Status status = step(database, from); !status) return status;
  }
  return {};
}

}  // namespace weir::control
