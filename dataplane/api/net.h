// Addresses and prefixes as every side of weir uses them. All bytes are in
// network order. Plain and trivially copyable, so that they travel in API records.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace weir {

enum class Family : uint8_t { none = 0, ip4 = 4, ip6 = 6 };

struct MacAddress {
  std::array<uint8_t, 6> bytes{};

  auto operator<=>(const MacAddress&) const = default;
  bool is_zero() const noexcept { return *this == MacAddress{}; }
  bool is_multicast() const noexcept { return (bytes[0] & 1) != 0; }
};

// Every pod port's gateway answers with this address.
inline constexpr MacAddress kGatewayMac{{0x02, 0x77, 0x65, 0x69, 0x72, 0x01}};

// An IPv4 address stands in the first four bytes, the rest is zero.
struct IpAddress {
  Family family = Family::none;
  std::array<uint8_t, 3> reserved{};
  std::array<uint8_t, 16> bytes{};

  auto operator<=>(const IpAddress&) const = default;
  bool is_ip4() const noexcept { return family == Family::ip4; }
  bool is_ip6() const noexcept { return family == Family::ip6; }
  bool is_none() const noexcept { return family == Family::none; }
  uint8_t bits() const noexcept { return is_ip4() ? 32 : 128; }
  // IPv4 only: the address as it lies in a header (network order in memory).
  uint32_t ip4_wire() const noexcept {
    uint32_t wire = 0;
    std::memcpy(&wire, bytes.data(), sizeof wire);
    return wire;
  }
};

struct IpPrefix {
  IpAddress address;  // host bits are zero
  uint8_t length = 0;
  std::array<uint8_t, 3> reserved{};

  auto operator<=>(const IpPrefix&) const = default;
};

static_assert(sizeof(MacAddress) == 6 && sizeof(IpAddress) == 20 && sizeof(IpPrefix) == 24);

// Parsers accept the usual text forms only (inet_pton); nullopt for all else.
std::optional<MacAddress> parse_mac(std::string_view text);
std::optional<IpAddress> parse_address(std::string_view text);
// "10.0.0.0/8"; a bare address is a host prefix; set host bits are an error.
std::optional<IpPrefix> parse_prefix(std::string_view text);

std::string to_string(const MacAddress& mac);
std::string to_string(const IpAddress& address);
std::string to_string(const IpPrefix& prefix);

IpAddress ip4_address(uint32_t host_order) noexcept;
IpAddress ip6_address(const std::array<uint8_t, 16>& bytes) noexcept;
// Clears the bits past `length`.
IpPrefix make_prefix(const IpAddress& address, uint8_t length) noexcept;
bool contains(const IpPrefix& prefix, const IpAddress& address) noexcept;

}  // namespace weir
