#include "control/ipam/host_local_dir.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <thread>

namespace weir::control {

namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kLockPoll(5);
constexpr std::streamsize kMaxEntry = 1024;  // bytes: an id of 255 and a name
constexpr std::string_view kBlank = " \t\r\n";

std::string trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(kBlank);
  if (first == text.npos) return "";
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxEntry, '\0');
  file.read(text.data(), kMaxEntry);
  text.resize(static_cast<size_t>(file.gcount()));
  return text;
}

// "<id>\r\n<ifname>"; before CNI plugins 0.8 the id alone.
HostLocalDir::Entry parse_entry(const IpAddress& address, const fs::path& path) {
  const std::string text = trimmed(read_file(path));
  const size_t end = text.find('\n');
  HostLocalDir::Entry entry{.address = address, .container_id = trimmed(text.substr(0, end))};
  if (end != text.npos) entry.ifname = trimmed(text.substr(end));
  struct stat info {};
  if (stat(path.c_str(), &info) == 0) {
    entry.since = UnixMillis{info.st_mtim.tv_sec} * 1000 + info.st_mtim.tv_nsec / 1'000'000;
  }
  return entry;
}

Status make_directory(const std::string& directory) {
  std::error_code failed;
  fs::create_directories(directory, failed);
  if (!failed) return {};
  return errno_error("cannot make " + directory, failed.value());
}

// flock() without a bound would hang weir-control behind a plugin that hangs.
Status wait_lock(int lock, std::chrono::milliseconds patience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (flock(lock, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return errno_error("cannot lock", errno);
    if (std::chrono::steady_clock::now() > end) {
      return {ErrorCode::busy, "another program holds its lock"};
    }
    std::this_thread::sleep_for(kLockPoll);
  }
  return {};
}

}  // namespace

Result<HostLocalDir> HostLocalDir::open(const std::string& directory, Missing missing,
                                        std::chrono::milliseconds patience) {
  if (missing == Missing::make) {
    if (const Status made = make_directory(directory); !made) return made.error();
  } else if (!fs::is_directory(directory)) {
    return {ErrorCode::not_found, directory + " is not there"};
  }
  const std::string path = directory + "/lock";
  api::Fd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock) return errno_error("cannot open " + path, errno);
  if (const Status locked = wait_lock(lock.get(), patience); !locked) {
    return {locked.error().code, path + ": " + locked.error().text};
  }
  return HostLocalDir(directory, std::move(lock));
}

Result<std::vector<HostLocalDir::Entry>> HostLocalDir::list(const std::string& directory) {
  std::vector<Entry> entries;
  std::error_code failed;
  for (fs::directory_iterator file(directory, failed); !failed && file != fs::directory_iterator();
       file.increment(failed)) {
    // All other names are the plugin's own.
    const auto address = parse_address(file->path().filename().string());
    if (address) entries.push_back(parse_entry(*address, file->path()));
  }
  if (failed) return errno_error("cannot read " + directory, failed.value());
  return entries;
}

Result<std::vector<HostLocalDir::Entry>> HostLocalDir::entries() const { return list(directory_); }

std::string HostLocalDir::last_file(size_t set) const {
  return directory_ + "/last_reserved_ip." + std::to_string(set);
}

Result<Elsewhere> HostLocalDir::elsewhere(size_t sets) const {
  const auto all = entries();
  if (!all) return all.error();
  Elsewhere out;
  for (const Entry& entry : *all) out.taken.push_back(entry.address);
  for (size_t set = 0; set < sets; ++set) {
    out.last.push_back(parse_address(trimmed(read_file(last_file(set)))).value_or(IpAddress{}));
  }
  return out;
}

Status HostLocalDir::write_entry(const IpAddress& address, const std::string& text) const {
  const std::string path = directory_ + "/" + to_string(address);
  const api::Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!file && errno == EEXIST) return {ErrorCode::exists, path + " is there already"};
  if (!file) return errno_error("cannot make " + path, errno);
  if (write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size())) return {};
  const Error error = errno_error("cannot write " + path, errno);
  unlink(path.c_str());
  return error;
}

Status HostLocalDir::reserve(const std::vector<Lease>& leases, const std::string& container_id,
                             const std::string& ifname) const {
  for (size_t i = 0; i < leases.size(); ++i) {
    const Status written = write_entry(leases[i].address, container_id + "\r\n" + ifname);
    if (!written) {
      while (i-- > 0) unlink((directory_ + "/" + to_string(leases[i].address)).c_str());
      return written;
    }
    // Only a hint for the next one, so a failure costs nothing.
    std::ofstream(last_file(i), std::ios::trunc) << to_string(leases[i].address);
  }
  return {};
}

Status HostLocalDir::release(const std::string& container_id, const std::string& ifname) const {
  const auto all = entries();
  if (!all) return all.error();
  for (const Entry& entry : *all) {
    const bool same_interface = entry.ifname == ifname || entry.ifname.empty();
    if (entry.container_id != container_id || !same_interface) continue;
    const std::string path = directory_ + "/" + to_string(entry.address);
    if (unlink(path.c_str()) != 0 && errno != ENOENT) {
      return errno_error("cannot remove " + path, errno);
    }
  }
  return {};
}

}  // namespace weir::control
