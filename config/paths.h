// Where weir's files are. Header only, so that the shim and the dataplane use it
// without linking anything.
//
// WEIR_RUN_DIR and WEIR_STATE_DIR move the directories for every program; an empty
// variable counts as unset. The results are absolute and end in no slash.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace weir::config {

inline constexpr char kDefaultConfigPath[] = "/etc/weir/weir.json";
inline constexpr char kDefaultRunDir[] = "/run/weir";
inline constexpr char kDefaultStateDir[] = "/var/lib/weir";
inline constexpr char kRunDirVariable[] = "WEIR_RUN_DIR";
inline constexpr char kStateDirVariable[] = "WEIR_STATE_DIR";

namespace detail {

inline std::string directory(const char* variable, const char* fallback) {
  const char* value = std::getenv(variable);  // NOLINT(concurrency-mt-unsafe): nobody sets it
  if (value == nullptr || *value == '\0') return fallback;
  std::error_code error;  // a vanished working directory leaves the text as it is
  const std::filesystem::path absolute = std::filesystem::absolute(value, error);
  std::string text = (error ? std::filesystem::path(value) : absolute.lexically_normal()).string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

}  // namespace detail

// Sockets; gone after a reboot.
inline std::string run_dir() { return detail::directory(kRunDirVariable, kDefaultRunDir); }
// The store; survives a reboot.
inline std::string state_dir() { return detail::directory(kStateDirVariable, kDefaultStateDir); }

// weir-control's: requests of the shim and of weirctl.
inline std::string cni_socket() { return run_dir() + "/cni.sock"; }
// weir-dataplane's API.
inline std::string dataplane_socket() { return run_dir() + "/dataplane.sock"; }
// Sockets that face pods (memif, vhost-user).
inline std::string pods_dir() { return run_dir() + "/pods"; }

}  // namespace weir::config
