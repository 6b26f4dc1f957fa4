// The CNI protocol versions that weir speaks.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weir::cni {

// In order of age, so that versions compare with < and >=.
enum class Version : uint8_t { v0_1_0, v0_2_0, v0_3_0, v0_3_1, v0_4_0, v1_0_0, v1_1_0 };

inline constexpr Version kNewestVersion = Version::v1_1_0;
inline constexpr std::array<std::string_view, 7> kSupportedVersions{
    "0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"};

constexpr std::string_view to_string(Version version) noexcept {
  return kSupportedVersions[static_cast<size_t>(version)];
}

// Empty text is 0.1.0 (configurations older than the key); nullopt = not supported.
std::optional<Version> parse_version(std::string_view text) noexcept;

// The answer to VERSION, one line of text.
std::string render_versions();

}  // namespace weir::cni
