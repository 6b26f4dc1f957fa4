// weir-control: answers CNI requests and keeps the dataplane in the state they ask for.
#include <linux/capability.h>
#include <signal.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "config/paths.h"
#include "control/daemon.h"

namespace {

using weir::ErrorCode;
using weir::Status;

int fail(const weir::Error& error) {
  std::fprintf(stderr, "weir-control: %s\n", error.text.c_str());
  return error.code == ErrorCode::config ? 2 : 1;
}

// Both are needed before anything is touched: interfaces, and pods' namespaces.
Status check_privilege() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3]{};
  if (syscall(SYS_capget, &header, data) != 0)
    return weir::errno_error("cannot read capabilities", errno);
  for (const auto& [number, name] :
       {std::pair{CAP_NET_ADMIN, "CAP_NET_ADMIN"}, std::pair{CAP_SYS_ADMIN, "CAP_SYS_ADMIN"}}) {
    if ((data[CAP_TO_INDEX(number)].effective & CAP_TO_MASK(number)) != 0) continue;
    return {ErrorCode::permission, std::string("it lacks ") + name + ": run it as root"};
  }
  return {};
}

void set_up_log(const std::string& level) {
  spdlog::set_default_logger(spdlog::stderr_color_mt("weir-control"));
  spdlog::set_level(level == "warn" ? spdlog::level::warn : spdlog::level::from_str(level));
  spdlog::flush_on(spdlog::level::trace);
}

int run(const std::string& config_path) {
  auto config = weir::config::load(config_path, {.check_cores = false});
  if (!config) return fail(config.error());
  if (const Status allowed = check_privilege(); !allowed) return fail(allowed.error());
  set_up_log(config->control.log_level);
  signal(SIGPIPE, SIG_IGN);
  auto daemon = weir::control::Daemon::open(*std::move(config),
                                            {weir::config::run_dir(), weir::config::state_dir()});
  if (!daemon) return fail(daemon.error());
  (*daemon)->handle_signals();
  (*daemon)->run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "weir-control: serves the container runtime's CNI requests and keeps the dataplane's "
      "state.\nWEIR_RUN_DIR and WEIR_STATE_DIR move /run/weir and /var/lib/weir.");
  std::string config_path;
  app.add_option("--config", config_path, "configuration file (default: /etc/weir/weir.json)");
  app.set_version_flag("--version", std::string("weir-control ") + WEIR_VERSION);
  CLI11_PARSE(app, argc, argv);
  return run(config_path);
}
