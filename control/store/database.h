// SQLite behind Status and Result: cached statements, typed binding, transactions.
// Nothing here knows weir's tables.
//
// Thread safety: none; one thread uses a Database and all that comes from it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "dataplane/api/error.h"

struct sqlite3;
struct sqlite3_stmt;

namespace weir::control {

class Database;

// What a commit survives once it has returned success.
enum class Durability : uint8_t {
  process,    // the death of this process; a power cut may undo it, never halve it
  power_cut,  // costs a write to the disk
};

using Blob = std::span<const uint8_t>;

// A running query. It ends, and its statement goes back to the cache, with this object.
class Query {
 public:
  Query(Database& database, sqlite3_stmt* statement) noexcept;
  ~Query();
  Query(Query&& other) noexcept;
  Query& operator=(Query&&) = delete;

  // Columns count from 0 and may be read after next() returned true.
  int64_t integer(int column) const noexcept;
  std::string text(int column) const;
  std::vector<uint8_t> blob(int column) const;
  bool is_null(int column) const noexcept;

  // Marks the database damaged over the present row.
  Error damaged(const std::string& what) const;

  // True: a row is there. False: no more.
  Result<bool> next();

 private:
  Database* database_;
  sqlite3_stmt* statement_;
};

class Database {
 public:
  // Opens or creates the file. `busy` when another process has it.
  static Result<std::unique_ptr<Database>> open(const std::string& path);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Several statements without arguments; not cached.
  Status execute(const std::string& sql);
  // One statement, prepared once: `sql` must be a string literal (cached by address).
  template <class... Arguments>
  Result<Query> query(const char* sql, const Arguments&... arguments) {
    auto statement = prepare(sql);
    if (!statement) return statement.error();
    Query query(*this, *statement);
    int index = 0;
    (bind(*statement, ++index, arguments), ...);
    return query;
  }
  // The same for a statement that returns no rows.
  template <class... Arguments>
  Status run(const char* sql, const Arguments&... arguments) {
    auto result = query(sql, arguments...);
    if (!result) return result.error();
    const auto row = result->next();
    return row ? Status() : Status(row.error());
  }

  int64_t last_insert_id() const noexcept;
  int changes() const noexcept;  // rows of the last run()

  // Nestable: an inner transaction is a savepoint. end() of the innermost comes first.
  // The outermost one's durability counts.
  Status begin(Durability durability = Durability::power_cut);
  Status commit();
  void rollback() noexcept;
  bool in_transaction() const noexcept { return depth_ > 0; }
  // Grows whenever something was rolled back; caches over the tables go stale then.
  uint64_t rollbacks() const noexcept { return rollbacks_; }

  // Not empty once the file proved to be corrupt, no database, or not to hold the tables
  // and values that statements expect: what was wrong.
  const std::string& damage() const noexcept { return damage_; }
  // For values that make no sense; `what` says which.
  Error mark_damaged(const std::string& what);
  // The Error of an SQLite result code, with the remedy.
  Error fail(int code);

 private:
  Database() = default;
  Result<sqlite3_stmt*> prepare(const char* sql);
  Status begin_outermost(Durability durability);
  void end_outermost() noexcept;
  void undo() noexcept;
  static void bind(sqlite3_stmt* statement, int index, int64_t value) noexcept;
  static void bind(sqlite3_stmt* statement, int index, std::string_view text) noexcept;
  static void bind(sqlite3_stmt* statement, int index, Blob blob) noexcept;
  static void bind(sqlite3_stmt* statement, int index, std::nullptr_t) noexcept;

  sqlite3* handle_ = nullptr;
  std::unordered_map<const char*, sqlite3_stmt*> statements_;
  int depth_ = 0;
  Durability durability_ = Durability::power_cut;  // of the open transaction
  uint64_t rollbacks_ = 0;
  std::string damage_;
};

// Rolls back unless committed. The Database outlives it.
class Transaction {
 public:
  static Result<Transaction> begin(Database& database,
                                   Durability durability = Durability::power_cut);
  ~Transaction();
  Transaction(Transaction&& other) noexcept;
  Transaction& operator=(Transaction&&) = delete;

  Status commit();

 private:
  explicit Transaction(Database& database) : database_(&database) {}
  Database* database_;
};

}  // namespace weir::control
