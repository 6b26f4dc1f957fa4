#include "control/store/database.h"

#include <sqlite3.h>

#include <cassert>
#include <utility>

namespace weir::control {

namespace {

// What an operator can do about an SQLite error, and the code programs see.
struct Remedy {
  int primary;
  ErrorCode code;
  const char* text;
};
constexpr Remedy kRemedies[] = {
    {SQLITE_FULL, ErrorCode::io, "the disk is full; free some space"},
    {SQLITE_READONLY, ErrorCode::permission, "it is read-only; make the directory writable"},
    {SQLITE_PERM, ErrorCode::permission, "access is denied; give this process write permission"},
    {SQLITE_CANTOPEN, ErrorCode::io, "it cannot be opened; make the directory writable"},
    {SQLITE_IOERR, ErrorCode::io, "reading or writing failed; check the disk and its free space"},
    {SQLITE_BUSY, ErrorCode::busy, "another process uses it; stop the other weir-control"},
    {SQLITE_LOCKED, ErrorCode::busy, "another process uses it; stop the other weir-control"},
    {SQLITE_CORRUPT, ErrorCode::io, "it is damaged; restart weir-control, which rebuilds it"},
    {SQLITE_NOTADB, ErrorCode::io, "it is damaged; restart weir-control, which rebuilds it"},
    {SQLITE_CONSTRAINT, ErrorCode::exists, "an entry like it is there already"},
    {SQLITE_NOMEM, ErrorCode::no_memory, "memory is exhausted; free some"},
    {SQLITE_TOOBIG, ErrorCode::limit, "a value is too large; shorten it"},
};

}  // namespace

Query::Query(Database& database, sqlite3_stmt* statement) noexcept
    : database_(&database), statement_(statement) {}

Query::Query(Query&& other) noexcept
    : database_(other.database_), statement_(std::exchange(other.statement_, nullptr)) {}

Query::~Query() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

int64_t Query::integer(int column) const noexcept {
  return sqlite3_column_int64(statement_, column);
}

std::string Query::text(int column) const {
  const void* data = sqlite3_column_text(statement_, column);
  const auto size = static_cast<size_t>(sqlite3_column_bytes(statement_, column));
  return data == nullptr ? std::string() : std::string(static_cast<const char*>(data), size);
}

std::vector<uint8_t> Query::blob(int column) const {
  const auto* data = static_cast<const uint8_t*>(sqlite3_column_blob(statement_, column));
  const auto size = static_cast<size_t>(sqlite3_column_bytes(statement_, column));
  return data == nullptr ? std::vector<uint8_t>() : std::vector<uint8_t>(data, data + size);
}

bool Query::is_null(int column) const noexcept {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

Error Query::damaged(const std::string& what) const { return database_->mark_damaged(what); }

Result<bool> Query::next() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return database_->fail(code);
}

Result<std::unique_ptr<Database>> Database::open(const std::string& path) {
  std::unique_ptr<Database> database(new Database);
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_EXRESCODE;
  const int code = sqlite3_open_v2(path.c_str(), &database->handle_, flags, nullptr);
  if (database->handle_ == nullptr) {
    return Error{ErrorCode::no_memory, "cannot open " + path + ": memory is exhausted; free some"};
  }
  if (code != SQLITE_OK) return database->fail(code);
  if (sqlite3_db_readonly(database->handle_, "main") == 1) {
    return Error{
        ErrorCode::permission,
        "cannot write " + path + ": it is read-only; make the file and its directory writable"};
  }
  return database;
}

Database::~Database() {
  for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close(handle_);
}

Status Database::execute(const std::string& sql) {
  const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? Status() : Status(fail(code));
}

Result<sqlite3_stmt*> Database::prepare(const char* sql) {
  if (depth_ > 0 && sqlite3_get_autocommit(handle_) != 0) {
    // SQLite ended the transaction over a failed write; going on would commit the rest of it.
    return Error{ErrorCode::io,
                 "the store's transaction was ended by an earlier failure; try again"};
  }
  const auto found = statements_.find(sql);
  if (found != statements_.end()) {
    // Two queries over one cached statement would reset each other.
    assert(sqlite3_stmt_busy(found->second) == 0);
    return found->second;
  }
  sqlite3_stmt* statement = nullptr;
  const int code =
      sqlite3_prepare_v3(handle_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return fail(code);
  statements_.emplace(sql, statement);
  return statement;
}

void Database::bind(sqlite3_stmt* statement, int index, int64_t value) noexcept {
  sqlite3_bind_int64(statement, index, value);
}

void Database::bind(sqlite3_stmt* statement, int index, std::string_view text) noexcept {
  // A view over nothing would bind NULL.
  const char* data = text.data() == nullptr ? "" : text.data();
  sqlite3_bind_text64(statement, index, data, text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}

void Database::bind(sqlite3_stmt* statement, int index, Blob blob) noexcept {
  sqlite3_bind_blob64(statement, index, blob.data(), blob.size(), SQLITE_TRANSIENT);
}

void Database::bind(sqlite3_stmt* statement, int index, std::nullptr_t) noexcept {
  sqlite3_bind_null(statement, index);
}

int64_t Database::last_insert_id() const noexcept { return sqlite3_last_insert_rowid(handle_); }
int Database::changes() const noexcept { return sqlite3_changes(handle_); }

Status Database::begin_outermost(Durability durability) {
  if (durability == Durability::process) {
    // In WAL mode this leaves out the flush at a commit and nothing else.
    if (Status status = execute("PRAGMA synchronous = NORMAL"); !status) return status;
    durability_ = durability;
  }
  // IMMEDIATE: a full or read-only disk shows here rather than half way through.
  Status status = run("BEGIN IMMEDIATE");
  if (!status) end_outermost();
  return status;
}

void Database::end_outermost() noexcept {
  if (durability_ == Durability::power_cut) return;
  const Status status = execute("PRAGMA synchronous = FULL");
  if (status) durability_ = Durability::power_cut;
}

Status Database::begin(Durability durability) {
  Status status = depth_ == 0 ? begin_outermost(durability) : run("SAVEPOINT nested");
  if (status) ++depth_;
  return status;
}

Status Database::commit() {
  Status status = depth_ == 1 ? run("COMMIT") : run("RELEASE nested");
  if (!status) {
    rollback();
  } else if (--depth_ == 0) {
    end_outermost();
  }
  return status;
}

void Database::rollback() noexcept {
  ++rollbacks_;
  --depth_;
  undo();
  if (depth_ == 0) end_outermost();
}

void Database::undo() noexcept {
  // A failed write may have ended the whole transaction already; nothing is left to undo then.
  if (sqlite3_get_autocommit(handle_) != 0) return;
  Status status = depth_ == 0 ? run("ROLLBACK") : run("ROLLBACK TO nested");
  if (status && depth_ > 0) status = run("RELEASE nested");
  static_cast<void>(status);  // SQLite rolls back by itself when the file is opened next
}

Error Database::fail(int code) {
  const int primary = code & 0xff;
  if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB || primary == SQLITE_ERROR) {
    damage_ = sqlite3_errmsg(handle_);
  }
  const char* file = sqlite3_db_filename(handle_, "main");
  const std::string name = file == nullptr || *file == '\0' ? "the store" : file;
  for (const Remedy& remedy : kRemedies) {
    if (remedy.primary != primary) continue;
    return {remedy.code,
            "cannot use " + name + ": " + remedy.text + " (" + sqlite3_errmsg(handle_) + ")"};
  }
  return {ErrorCode::io, "cannot use " + name + ": " + sqlite3_errmsg(handle_)};
}

Error Database::mark_damaged(const std::string& what) {
  damage_ = what;
  return {ErrorCode::io,
          "the store is damaged (" + what + "); restart weir-control, which rebuilds it"};
}

Result<Transaction> Transaction::begin(Database& database, Durability durability) {
  if (Status status = database.begin(durability); !status) return status.error();
  return Transaction(database);
}

Transaction::Transaction(Transaction&& other) noexcept
    : database_(std::exchange(other.database_, nullptr)) {}

Transaction::~Transaction() {
  if (database_ != nullptr) database_->rollback();
}

Status Transaction::commit() { return std::exchange(database_, nullptr)->commit(); }

}  // namespace weir::control
