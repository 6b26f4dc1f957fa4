// Opening the store: the directory, the lock, the check, quarantine of a damaged file.
#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <ctime>
#include <filesystem>

#include "control/store/schema.h"
#include "control/store/store.h"

namespace weir::control {

namespace {

namespace fs = std::filesystem;

constexpr char kFileName[] = "weir.db";

// EXCLUSIVE keeps the lock until close, so that a second weir-control cannot write;
// it comes before WAL, which then needs no shared memory file.
constexpr char kSetup[] =
    "PRAGMA locking_mode = EXCLUSIVE;"
    "PRAGMA synchronous = FULL;"
    "PRAGMA foreign_keys = ON;"
    "PRAGMA journal_size_limit = 4194304;";

Status directory_error(const std::string& directory, int number) {
  Error error = errno_error("cannot use the state directory " + directory, number);
  error.text += "; make it a writable directory or name another with WEIR_STATE_DIR";
  if (number == EROFS) error.code = ErrorCode::permission;
  if (error.code == ErrorCode::not_found) error.code = ErrorCode::io;
  return error;
}

Status make_directory(const std::string& directory) {
  std::error_code error;
  if (fs::is_directory(directory, error)) return {};
  fs::create_directories(directory, error);
  if (error) return directory_error(directory, error.value());
  fs::permissions(directory, fs::perms::owner_all, error);
  return error ? directory_error(directory, error.value()) : Status();
}

// Creates the file with mode 0600 when it is not there: SQLite would use 0644.
Result<bool> create_file(const std::string& directory, const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd >= 0) {
    ::close(fd);
    return true;
  }
  if (errno == EEXIST) return false;
  return directory_error(directory, errno).error();
}

Result<std::string> first_text(Database& database, const char* sql) {
  auto query = database.query(sql);
  if (!query) return query.error();
  const auto row = query->next();
  if (!row) return row.error();
  return *row ? query->text(0) : std::string();
}

Status set_up(Database& database) {
  if (Status status = database.execute(kSetup); !status) return status;
  const auto mode = first_text(database, "PRAGMA journal_mode = WAL");
  if (!mode) return mode.error();
  if (*mode != "wal") {
    return Status(ErrorCode::io,
                  "the state directory's file system cannot hold a write-ahead log; "
                  "name another with WEIR_STATE_DIR");
  }
  const auto check = first_text(database, "PRAGMA quick_check(1)");
  if (!check) return check.error();
  // The last of several lines says what is wrong.
  if (*check != "ok") return database.mark_damaged(check->substr(check->rfind('\n') + 1));
  return migrate(database);
}

// A file that lost its contents is damage, unless this process just made it.
bool has_contents(const std::string& path) {
  std::error_code error;
  return fs::is_regular_file(path, error) && fs::file_size(path, error) > 0;
}

std::string time_stamp() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &parts);
  return text;
}

// Returns the file's new name. The write-ahead log goes along, under the name that
// sqlite3 looks for when somebody opens the damaged file.
Result<std::string> quarantine(const std::string& path) {
  const std::string base = path + ".damaged-" + time_stamp();
  std::string target = base;
  std::error_code error;
  for (int i = 2; fs::exists(fs::symlink_status(target, error)); ++i)
    target = base + "." + std::to_string(i);
  fs::rename(path, target, error);
  if (error) {
    return Error{ErrorCode::io, "cannot move the damaged store " + path +
                                    " away: " + error.message() + "; move it by hand"};
  }
  for (const char* suffix : {"-wal", "-shm"}) {
    if (fs::exists(path + suffix, error)) fs::rename(path + suffix, target + suffix, error);
    if (error) {
      return Error{ErrorCode::io, "cannot move the damaged store's " + path + suffix +
                                      " away: " + error.message() + "; move it by hand"};
    }
  }
  return target;
}

}  // namespace

// SQLite makes the file with the first access and keeps it until the database is closed.
Status Store::open_log() {
  log_.reset(::open((path_ + "-wal").c_str(), O_RDONLY | O_CLOEXEC));
  return log_ ? Status() : Status(errno_error("cannot open " + path_ + "-wal", errno));
}

Result<std::unique_ptr<Store>> Store::open_file(const std::string& path,
                                                const std::string& quarantined,
                                                std::string& damage) {
  auto database = Database::open(path);
  if (!database) return database.error();
  std::unique_ptr<Store> store(new Store(path, std::move(*database)));
  Status status = set_up(*store->database_);
  if (status) status = store->read_all();
  if (status) status = store->prepare(quarantined);
  if (status) status = store->open_log();
  if (status) return store;
  damage = store->database_->damage();
  return status.error();
}

Result<std::unique_ptr<Store>> Store::open(const std::string& directory) {
  if (Status status = make_directory(directory); !status) return status.error();
  const std::string path = directory + "/" + kFileName;
  std::string quarantined;
  while (true) {
    const auto created = create_file(directory, path);
    if (!created) return created.error();
    std::string damage;
    if (*created || has_contents(path)) {
      auto store = open_file(path, quarantined, damage);
      if (store || damage.empty() || !quarantined.empty()) return store;
    } else {
      damage = "it is empty or no file";
    }
    auto moved = quarantine(path);
    if (!moved) return moved.error();
    quarantined = std::move(*moved);
    spdlog::warn("the store {} is damaged ({}); it is kept as {} and an empty one takes its place",
                 path, damage, quarantined);
  }
}

}  // namespace weir::control
