// weir-dataplane: loads weir.json, starts DPDK and the workers, serves the API.
#include <fcntl.h>
#include <grp.h>
#include <rte_eal.h>
#include <rte_launch.h>
#include <signal.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>

#include "config/config.h"
#include "config/paths.h"
#include "dataplane/runtime/api_server.h"
#include "dataplane/runtime/dataplane.h"
#include "dataplane/runtime/eal.h"
#include "dataplane/runtime/event_loop.h"
#include "dataplane/runtime/priority.h"

namespace weir::dataplane {
namespace {

Status make_directory(const std::string& path, mode_t mode) {
  if (mkdir(path.c_str(), mode) == 0 || errno == EEXIST) {
    if (access(path.c_str(), W_OK | X_OK) == 0) return {};
  }
  Error error = errno_error("cannot use directory " + path, errno);
  error.text += "; run this as root, or set WEIR_RUN_DIR to a directory that can be written";
  return error;
}

// The directory that pods' sockets live in is weir's and the socket group's alone, also
// when it was there before and somebody changed that. A link in its place is not followed.
Status make_pods_directory(gid_t gid) {
  const std::string path = config::pods_dir();
  if (const Status status = make_directory(path, 0750); !status) return status;
  const api::Fd directory(open(path.c_str(), O_DIRECTORY | O_NOFOLLOW | O_RDONLY | O_CLOEXEC));
  if (!directory) return errno_error("cannot open " + path + " as a directory of weir's own", errno);
  if (fchown(directory.get(), geteuid(), gid) != 0 || fchmod(directory.get(), 0750) != 0) {
    return errno_error("cannot give " + path + " to the group of network.socket_group", errno);
  }
  return {};
}

Status make_run_directories(const config::NetworkConfig& network) {
  if (const Status status = make_directory(config::run_dir(), 0755); !status) return status;
  return make_pods_directory(network.socket_gid);
}

Result<bool> choose_hugepages(const config::DataplaneConfig& options) {
  const uint64_t free_mib = free_hugepages_mib();
  const uint64_t wanted = options.memory_mib;
  if (options.hugepages == config::Hugepages::off) return false;
  if (free_mib >= wanted) return true;
  if (options.hugepages == config::Hugepages::required) {
    return {ErrorCode::unavailable,
            "dataplane.hugepages is \"required\" but only " + std::to_string(free_mib) + " MiB of " +
                std::to_string(wanted) + " MiB hugepages are free; reserve them with `sysctl -w vm.nr_hugepages=" +
                std::to_string((wanted + 1) / 2) + "` or set dataplane.hugepages to \"auto\""};
  }
  spdlog::warn("{} MiB of hugepages are free, {} wanted: ordinary pages are used, which is slower", free_mib,
               wanted);
  return false;
}

std::vector<uint32_t> cores_without(const std::vector<uint32_t>& workers) {
  std::vector<uint32_t> rest;
  for (const uint32_t core : config::usable_cores()) {
    if (std::ranges::find(workers, core) == workers.end()) rest.push_back(core);
  }
  return rest.empty() ? std::vector<uint32_t>{workers.front()} : rest;
}

// SIGTERM and SIGINT end the loop. Blocked before any thread starts.
Result<api::Fd> block_signals() {
  signal(SIGPIPE, SIG_IGN);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  if (pthread_sigmask(SIG_BLOCK, &set, nullptr) != 0) return errno_error("cannot block signals", errno);
  api::Fd fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return errno_error("cannot make a signal descriptor", errno);
  return fd;
}

int run_worker(void* worker) {
  static_cast<Worker*>(worker)->run();
  return 0;
}

Status serve(const config::Config& config) {
  Result<api::Fd> signals = block_signals();
  if (!signals) return signals.error();
  if (const Status status = make_run_directories(config.network); !status) return status;
  const Result<bool> hugepages = choose_hugepages(config.dataplane);
  if (!hugepages) return hugepages.error();
  auto loop = EventLoop::create();
  if (!loop) return loop.error();
  auto dataplane =
      Dataplane::make({config.dataplane.workers, *hugepages, config.dataplane.connections}, **loop);
  if (!dataplane) return dataplane.error();
  auto server = ApiServer::listen(config::dataplane_socket(), **dataplane, **loop);
  if (!server) return server.error();
  raise_priority();
  const EalOptions eal{config.dataplane.workers,    cores_without(config.dataplane.workers),
                       *hugepages,                  config.dataplane.memory_mib,
                       config.dataplane.eal_args, spdlog::should_log(spdlog::level::debug)};
  if (const Status status = start_eal(eal); !status) return status;
  if (const Status added = (*loop)->add(signals->get(), EPOLLIN, [&](uint32_t) { (*loop)->stop(); }); !added) {
    return added;
  }
  unsigned lcore = 1;
  for (Worker* worker : (*dataplane)->workers()) rte_eal_remote_launch(run_worker, worker, lcore++);
  spdlog::info("weir-dataplane {} serves {} with {} worker(s), hugepages {}", WEIR_VERSION,
               config::dataplane_socket(), config.dataplane.workers.size(), *hugepages ? "on" : "off");
  (*loop)->run();
  (*dataplane)->stop_workers();
  rte_eal_mp_wait_lcore();
  spdlog::info("weir-dataplane stops; pods keep their interfaces");
  return {};
}

int run(int argc, char** argv) {
  CLI::App app("weir-dataplane: routes packets between pods", "weir-dataplane");
  std::string path;
  app.add_option("--config", path, "configuration file instead of " + std::string(config::kDefaultConfigPath));
  app.set_version_flag("--version", WEIR_VERSION);
  CLI11_PARSE(app, argc, argv);
  spdlog::set_default_logger(spdlog::stderr_logger_st("weir-dataplane"));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e %l %v");
  const Result<config::Config> config = config::load(path);
  Status status;
  if (config) {
    spdlog::set_level(spdlog::level::from_str(config->dataplane.log_level));
    status = serve(*config);
  } else {
    status = config.error();
  }
  if (status) return 0;
  std::fprintf(stderr, "weir-dataplane: %s\n", status.error().text.c_str());
  return 1;
}

}  // namespace
}  // namespace weir::dataplane

int main(int argc, char** argv) { return weir::dataplane::run(argc, argv); }
