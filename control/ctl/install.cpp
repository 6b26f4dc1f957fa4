#include "control/ctl/install.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <optional>

#include "dataplane/api/codec.h"

namespace weir::ctl {

namespace {

namespace fs = std::filesystem;

std::optional<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (file.bad()) return std::nullopt;
  return text;
}

Status write_all(int file, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t count = write(file, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno_error("cannot write " + path, errno);
    text.remove_prefix(static_cast<size_t>(count));
  }
  return {};
}

Status write_flushed(const std::string& path, const std::string& text, unsigned mode) {
  const api::Fd file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file) return errno_error("cannot make " + path, errno);
  if (const Status written = write_all(file.get(), text, path); !written) return written;
  // Not with open(): the umask would take bits away.
  if (fchmod(file.get(), mode) != 0) return errno_error("cannot set the mode of " + path, errno);
  if (fsync(file.get()) != 0) return errno_error("cannot write " + path + " to disk", errno);
  return {};
}

Status flush_directory(const std::string& path) {
  const api::Fd directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory || fsync(directory.get()) != 0) {
    return errno_error("cannot write " + path + " to disk", errno);
  }
  return {};
}

Status publish(const std::string& text, const fs::path& target, unsigned mode) {
  const fs::path directory = target.parent_path();
  const fs::path hidden =
      directory / ("." + target.filename().string() + "." + std::to_string(getpid()) + ".tmp");
  Status done = write_flushed(hidden, text, mode);
  if (done && rename(hidden.c_str(), target.c_str()) != 0) {
    done = errno_error("cannot rename to " + target.string(), errno);
  }
  if (!done) {
    unlink(hidden.c_str());
    return done;
  }
  return flush_directory(directory);
}

}  // namespace

const char* to_text(Installed what) noexcept {
  switch (what) {
    case Installed::made: return "installed";
    case Installed::replaced: return "replaced";
    case Installed::unchanged: return "unchanged";
    case Installed::kept: break;
  }
  return "kept";
}

Result<Installed> install_file(const std::string& source, const std::string& target, unsigned mode,
                               bool overwrite) {
  const auto wanted = read_file(source);
  if (!wanted) return errno_error("cannot read " + source, errno);
  const auto present = read_file(target);
  if (present == wanted) return Installed::unchanged;
  if (present && !overwrite) return Installed::kept;
  std::error_code failed;
  fs::create_directories(fs::path(target).parent_path(), failed);
  if (failed) return errno_error("cannot make the directory of " + target, failed.value());
  if (const Status done = publish(*wanted, target, mode); !done) return done.error();
  return present ? Installed::replaced : Installed::made;
}

bool same_contents(const std::string& a, const std::string& b) {
  const auto first = read_file(a);
  return first && first == read_file(b);
}

Status remove_file(const std::string& path) {
  if (unlink(path.c_str()) == 0) return flush_directory(fs::path(path).parent_path());
  return errno == ENOENT ? Status{} : Status{errno_error("cannot remove " + path, errno)};
}

}  // namespace weir::ctl
