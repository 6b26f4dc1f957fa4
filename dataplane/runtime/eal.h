// DPDK's environment for the process: threads on their cores, and hugepages.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dataplane/api/error.h"

namespace weir::dataplane {

struct EalOptions {
  std::vector<uint32_t> worker_cores;  // worker i runs on lcore i + 1
  std::vector<uint32_t> main_cores;    // the main thread may run on these
  bool hugepages = false;
  uint32_t memory_mib = 256;
  std::vector<std::string> extra_args;
  bool verbose = false;  // EAL's own messages on stderr
};

// Once a process. The arguments in force are in the error text when EAL refuses them.
Status start_eal(const EalOptions& options);

// Free hugepages of the default size on this machine, in MiB.
uint64_t free_hugepages_mib();

}  // namespace weir::dataplane
