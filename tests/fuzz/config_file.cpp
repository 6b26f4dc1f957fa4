// weir.json as an operator may leave it: whatever it holds, it is taken whole or refused
// with one sentence that can stand in a log.
#include "config/config.h"
#include "tests/fuzz/input.h"

namespace {

using namespace weir;

bool printable(const std::string& text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; });
}

// What load() promises about every configuration it returns.
void check_config(const config::Config& config) {
  WEIR_INVARIANT(!config.dataplane.workers.empty());
  WEIR_INVARIANT(config.dataplane.memory_mib >= 64);
  WEIR_INVARIANT(config.network.mtu >= 68);
  WEIR_INVARIANT(config.network.socket_mode <= 0777);
  WEIR_INVARIANT(!config.network.name.empty() && printable(config.network.name));
  const auto& ranges = config.network.pod_cidrs;
  WEIR_INVARIANT(!ranges.empty());
  for (size_t i = 0; i < ranges.size(); ++i) {
    WEIR_INVARIANT(!ranges[i].address.is_ip6() || config.network.mtu >= 1280);
    for (size_t j = 0; j < i; ++j) {
      WEIR_INVARIANT(!contains(ranges[i], ranges[j].address));
      WEIR_INVARIANT(!contains(ranges[j], ranges[i].address));
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  weir::fuzz::Input input(data, size);
  const config::LoadOptions options{.check_cores = false};
  const Result<config::Config> config = config::parse(input.text(), "weir.json", options);
  if (config) {
    check_config(*config);
  } else {
    WEIR_INVARIANT(config.error().code == ErrorCode::config);
    WEIR_INVARIANT(config.error().text.starts_with("weir.json:"), config.error().text);
    WEIR_INVARIANT(printable(config.error().text), config.error().text);
  }
  return 0;
}
