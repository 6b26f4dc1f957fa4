#include "cni/spool.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <ctime>
#include <memory>

#include "cni/fault/fault.h"
#include "cni/fd.h"
#include "cni/io.h"
#include "config/paths.h"

namespace weir::cni {
namespace {

constexpr std::string_view kSuffix = ".json";
constexpr std::string_view kTemporary = ".tmp";
constexpr time_t kStaleSeconds = 60;            // longer than any shim lives
constexpr size_t kMaxEntry = size_t{32} << 20;  // an 8 MiB configuration with escapes
constexpr std::chrono::seconds kReadBound{5};

struct DirectoryCloser {
  void operator()(DIR* directory) const noexcept { closedir(directory); }
};

// FNV-1a; tells attachments apart, the readable part of a name alone would not.
uint64_t hash(std::string_view text) noexcept {
  uint64_t value = 14695981039346656037u;
  for (const unsigned char c : text) value = (value ^ c) * 1099511628211u;
  return value;
}

std::string entry_name(const std::string& network, const Environment& environment) {
  const std::string identity = network + '/' + environment.container_id + '/' + environment.ifname;
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016" PRIx64, hash(identity));
  return environment.container_id.substr(0, 64) + "-" + digits + std::string(kSuffix);
}

Status make_directory(const std::string& path, mode_t mode) {
  if (mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return {};
  return errno_error("cannot create " + path, errno);
}

weir::Result<UniqueFd> open_directory(const std::string& path) {
  UniqueFd directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return errno_error("cannot open " + path, errno);
  return directory;
}

weir::Result<UniqueFd> make_spool(const std::string& path) {
  const std::string parent = path.substr(0, path.find_last_of('/'));
  if (Status made = make_directory(parent, 0755); !made) return made.error();
  WEIR_FAULT_ERROR("spool.parent_made");
  if (Status made = make_directory(path, 0700); !made) return made.error();
  WEIR_FAULT_ERROR("spool.directory_made");
  // The new directory's own entry has to survive a power cut as well.
  weir::Result<UniqueFd> above = open_directory(parent);
  if (above) (void)fsync(above->get());
  return open_directory(path);
}

Status write_file(int directory, const std::string& name, std::string_view text) {
  UniqueFd file(
      openat(directory, name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return errno_error("cannot create " + name, errno);
  WEIR_FAULT_ERROR("spool.file_made");
  while (!text.empty()) {
    const ssize_t count = write(file.get(), text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno_error("cannot write " + name, errno);
    text.remove_prefix(static_cast<size_t>(count));
  }
  WEIR_FAULT_ERROR("spool.file_written");
  if (fsync(file.get()) != 0) return errno_error("cannot write " + name + " to disk", errno);
  WEIR_FAULT_ERROR("spool.file_durable");
  return {};
}

Status publish(int directory, const std::string& temporary, const std::string& name) {
  if (renameat(directory, temporary.c_str(), directory, name.c_str()) != 0) {
    return errno_error("cannot rename " + temporary, errno);
  }
  WEIR_FAULT_ERROR("spool.renamed");
  if (fsync(directory) != 0) return errno_error("cannot write the spool to disk", errno);
  return {};
}

Outcome<Request> read_entry(int directory, const std::string& name) {
  const auto refuse = [&name](std::string_view why) {
    return Error{Code::io_failure, "spool entry " + name + ": " + std::string(why), {}};
  };
  // O_NONBLOCK: a FIFO planted here must not hang the daemon.
  UniqueFd file(openat(directory, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file) return refuse(errno_error("cannot open", errno).text);
  struct stat info {};
  if (fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) return refuse("not a regular file");
  weir::Result<std::string> text = read_all(file.get(), kMaxEntry, Clock::now() + kReadBound);
  if (!text) return refuse(text.error().text);
  Outcome<Json> document = parse_json(*text, Keys::verbatim, kMaxEntry);
  if (!document) return refuse(document.error().msg);
  Outcome<Request> request = parse_request(Command::del, *document);
  if (!request) return refuse(request.error().msg);
  return request;
}

void remove_if_stale(int directory, const std::string& name) {
  struct stat info {};
  if (fstatat(directory, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return;
  if (time(nullptr) - info.st_mtime > kStaleSeconds) (void)unlinkat(directory, name.c_str(), 0);
}

}  // namespace

std::string spool_dir() { return config::state_dir() + "/spool"; }

Status write_spool(const std::string& directory, const std::string& network,
                   const Request& request) {
  weir::Result<UniqueFd> spool = make_spool(directory);
  if (!spool) return spool.error();
  const std::string name = entry_name(network, request.environment);
  const std::string temporary = name + "." + std::to_string(getpid()) + std::string(kTemporary);
  Status written = write_file(spool->get(), temporary, request_params(request).dump());
  if (written) written = publish(spool->get(), temporary, name);
  if (!written) (void)unlinkat(spool->get(), temporary.c_str(), 0);
  return written;
}

weir::Result<std::vector<SpoolEntry>> read_spool(const std::string& directory) {
  std::vector<SpoolEntry> entries;
  const std::unique_ptr<DIR, DirectoryCloser> listing(opendir(directory.c_str()));
  if (!listing) {
    if (errno == ENOENT) return entries;
    return errno_error("cannot read the spool " + directory, errno);
  }
  const int spool = dirfd(listing.get());
  while (const dirent* item = readdir(listing.get())) {
    const std::string name = item->d_name;
    if (name.ends_with(kTemporary)) remove_if_stale(spool, name);
    if (name.ends_with(kSuffix)) entries.push_back({name, read_entry(spool, name)});
  }
  return entries;
}

bool spool_is_empty(const std::string& directory) {
  const std::unique_ptr<DIR, DirectoryCloser> listing(opendir(directory.c_str()));
  if (!listing) return true;
  while (const dirent* item = readdir(listing.get())) {
    if (item->d_name[0] != '.') return false;
  }
  return true;
}

Status remove_spool(const std::string& directory, const std::string& file) {
  const std::string path = directory + "/" + file;
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  return errno_error("cannot remove " + path, errno);
}

}  // namespace weir::cni
