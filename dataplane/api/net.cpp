#include "dataplane/api/net.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstdio>

namespace weir {

std::optional<MacAddress> parse_mac(std::string_view text) {
  MacAddress mac;
  if (text.size() != 17) return std::nullopt;
  for (size_t i = 0; i < 6; ++i) {
    const char* first = text.data() + i * 3;
    auto [end, error] = std::from_chars(first, first + 2, mac.bytes[i], 16);
    if (error != std::errc{} || end != first + 2) return std::nullopt;
    if (i < 5 && text[i * 3 + 2] != ':' && text[i * 3 + 2] != '-') return std::nullopt;
  }
  return mac;
}

std::optional<IpAddress> parse_address(std::string_view text) {
  const std::string copy(text);
  if (copy.size() != std::strlen(copy.c_str())) return std::nullopt;
  IpAddress address;
  if (inet_pton(AF_INET, copy.c_str(), address.bytes.data()) == 1) {
    address.family = Family::ip4;
    return address;
  }
  if (inet_pton(AF_INET6, copy.c_str(), address.bytes.data()) == 1) {
    address.family = Family::ip6;
    return address;
  }
  return std::nullopt;
}

std::optional<IpPrefix> parse_prefix(std::string_view text) {
  const size_t slash = text.find('/');
  const auto address = parse_address(text.substr(0, slash));
  if (!address) return std::nullopt;
  uint8_t length = address->bits();
  if (slash != std::string_view::npos) {
    const std::string_view digits = text.substr(slash + 1);
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
    if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
    if (length > address->bits()) return std::nullopt;
  }
  const IpPrefix prefix = make_prefix(*address, length);
  if (prefix.address != *address) return std::nullopt;
  return prefix;
}

std::string to_string(const MacAddress& mac) {
  std::array<char, 18> text{};
  std::snprintf(text.data(), text.size(), "%02x:%02x:%02x:%02x:%02x:%02x", mac.bytes[0],
                mac.bytes[1], mac.bytes[2], mac.bytes[3], mac.bytes[4], mac.bytes[5]);
  return text.data();
}

std::string to_string(const IpAddress& address) {
  if (address.is_none()) return "";
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(address.is_ip4() ? AF_INET : AF_INET6, address.bytes.data(), text.data(), text.size());
  return text.data();
}

std::string to_string(const IpPrefix& prefix) {
  return to_string(prefix.address) + "/" + std::to_string(prefix.length);
}

IpAddress ip4_address(uint32_t host_order) noexcept {
  IpAddress address{.family = Family::ip4};
  const uint32_t wire = htonl(host_order);
  std::memcpy(address.bytes.data(), &wire, sizeof wire);
  return address;
}

IpAddress ip6_address(const std::array<uint8_t, 16>& bytes) noexcept {
  return {.family = Family::ip6, .bytes = bytes};
}

IpPrefix make_prefix(const IpAddress& address, uint8_t length) noexcept {
  IpPrefix prefix{.address = address, .length = std::min(length, address.bits())};
  for (size_t i = 0; i < prefix.address.bytes.size(); ++i) {
    const int kept = std::clamp(static_cast<int>(prefix.length) - static_cast<int>(i) * 8, 0, 8);
    prefix.address.bytes[i] &= static_cast<uint8_t>(0xff00 >> kept);
  }
  return prefix;
}

bool contains(const IpPrefix& prefix, const IpAddress& address) noexcept {
  return prefix.address.family == address.family &&
         make_prefix(address, prefix.length).address == prefix.address;
}

}  // namespace weir
