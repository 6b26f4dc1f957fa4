#include "cni/version.h"

#include <nlohmann/json.hpp>

namespace weir::cni {

std::optional<Version> parse_version(std::string_view text) noexcept {
  if (text.empty()) return Version::v0_1_0;
  for (size_t i = 0; i < kSupportedVersions.size(); ++i) {
    if (kSupportedVersions[i] == text) return static_cast<Version>(i);
  }
  return std::nullopt;
}

std::string render_versions() {
  const nlohmann::json object{{"cniVersion", to_string(kNewestVersion)},
                              {"supportedVersions", kSupportedVersions}};
  return object.dump();
}

}  // namespace weir::cni
