#include "dataplane/runtime/eal.h"

#include <fcntl.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

namespace weir::dataplane {

namespace {

std::string join(const std::vector<uint32_t>& cores) {
  std::string text;
  for (const uint32_t core : cores) text += (text.empty() ? "" : ",") + std::to_string(core);
  return text;
}

std::vector<std::string> arguments(const EalOptions& options) {
  std::string lcores = "0@(" + join(options.main_cores) + ")";
  for (size_t i = 0; i < options.worker_cores.size(); ++i) {
    lcores += "," + std::to_string(i + 1) + "@" + std::to_string(options.worker_cores[i]);
  }
  std::vector<std::string> all{"weir-dataplane", "--no-pci", "--no-telemetry", "--lcores=" + lcores,
                               // Its own directory below /run/dpdk; see remove_runtime_directory().
                               "--file-prefix=weir-" + std::to_string(getpid())};
  if (!options.verbose) all.emplace_back("--log-level=*:critical");
  if (options.hugepages) {
    all.emplace_back("--in-memory");
  } else {  // DPDK 22.11 refuses the two together; no-shconf leaves no files either
    all.insert(all.end(), {"--no-huge", "--no-shconf", "-m" + std::to_string(options.memory_mib)});
  }
  all.insert(all.end(), options.extra_args.begin(), options.extra_args.end());
  return all;
}

// EAL prints its whole usage text on stdout when it dislikes an argument.
class QuietStdout {
 public:
  QuietStdout() : saved_(dup(STDOUT_FILENO)) {
    std::fflush(stdout);
    const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(null, STDOUT_FILENO);
    close(null);
  }
  ~QuietStdout() {
    std::fflush(stdout);
    dup2(saved_, STDOUT_FILENO);
    close(saved_);
  }
  QuietStdout(const QuietStdout&) = delete;
  QuietStdout& operator=(const QuietStdout&) = delete;

 private:
  int saved_;
};

// EAL makes /run/dpdk/<prefix> even when it keeps no file there. Each call fails, and
// that is right, when somebody else's files are in the directory.
void remove_runtime_directory() {
  const std::filesystem::path path = rte_eal_get_runtime_dir();
  if (rmdir(path.c_str()) == 0) rmdir(path.parent_path().c_str());
}

}  // namespace

Status start_eal(const EalOptions& options) {
  // EAL keeps pointers into its arguments.
  static std::vector<std::string> texts;
  static std::vector<char*> argv;
  texts = arguments(options);
  std::string shown;
  for (std::string& text : texts) {
    argv.push_back(text.data());
    if (&text != &texts.front()) shown += " " + text;
  }
  argv.push_back(nullptr);
  const QuietStdout quiet;
  if (rte_eal_init(static_cast<int>(texts.size()), argv.data()) >= 0) {
    remove_runtime_directory();
    return {};
  }
  return {ErrorCode::unavailable, "DPDK does not start (" + std::string(rte_strerror(rte_errno)) +
                                      ") with the arguments" + shown +
                                      "; correct dataplane.eal_args and dataplane.hugepages in weir.json"};
}

uint64_t free_hugepages_mib() {
  std::ifstream file("/proc/meminfo");
  std::string key;
  uint64_t value = 0;
  uint64_t free_pages = 0;
  uint64_t page_kib = 0;
  std::string line;
  while (file >> key >> value && std::getline(file, line)) {
    if (key == "HugePages_Free:") free_pages = value;
    if (key == "Hugepagesize:") page_kib = value;
  }
  return free_pages * page_kib / 1024;
}

}  // namespace weir::dataplane
