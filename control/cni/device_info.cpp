#include "control/cni/device_info.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "dataplane/api/codec.h"

namespace weir::control {

namespace {

namespace fs = std::filesystem;

nlohmann::json memif_info(const api::PortConfig& port) {
  const bool ip = port.memif_mode == api::MemifMode::ip;
  return {{"role", "slave"},
          {"path", api::get_text(port.socket_path)},
          {"mode", ip ? "ip" : "ethernet"}};
}

// `mode` is the workload's: who is not the server of the socket connects to it.
nlohmann::json vhost_info(const api::PortConfig& port) {
  const bool pod_serves = port.vhost_role == api::VhostRole::client;
  return {{"mode", pod_serves ? "server" : "client"}, {"path", api::get_text(port.socket_path)}};
}

std::string device_info(const api::PortConfig& port) {
  const bool memif = port.kind == api::PortKind::memif;
  const char* const type = memif ? "memif" : "vhost-user";
  return nlohmann::json{
      {"type", type}, {"version", "1.1.0"}, {type, memif ? memif_info(port) : vhost_info(port)}}
      .dump();
}

Status write_new(const std::string& path, const std::string& text) {
  unlink(path.c_str());  // of a run that was killed
  const api::Fd file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!file) return errno_error("cannot make " + path, errno);
  if (write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size())) return {};
  return errno_error("cannot write " + path, errno);
}

}  // namespace

std::optional<cni::Error> check_device_info(const std::string& path) {
  if (path.empty()) return std::nullopt;
  const fs::path parsed(path);
  const bool climbs = std::ranges::find(parsed, "..") != parsed.end();
  if (parsed.is_absolute() && parsed.has_filename() && !climbs) return std::nullopt;
  return cni::Error{cni::Code::invalid_config,
                    "runtimeConfig.CNIDeviceInfoFile is not an absolute path of a file", ""};
}

Status write_device_info(const std::string& path, const api::PortConfig& port) {
  std::error_code failed;
  fs::create_directories(fs::path(path).parent_path(), failed);
  if (failed) return errno_error("cannot make the directory of " + path, failed.value());
  const std::string temporary = path + ".weir-new";
  Status written = write_new(temporary, device_info(port));
  if (written && rename(temporary.c_str(), path.c_str()) != 0) {
    written = errno_error("cannot rename " + temporary, errno);
  }
  if (!written) unlink(temporary.c_str());
  return written;
}

Status remove_device_info(const std::string& path) {
  if (path.empty() || check_device_info(path)) return {};
  if (unlink(path.c_str()) == 0 || errno == ENOENT || errno == ENOTDIR) return {};
  return errno_error("cannot remove " + path, errno);
}

}  // namespace weir::control
