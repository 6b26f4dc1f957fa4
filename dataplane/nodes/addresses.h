// IPv6 address classes as stages need them (RFC 4291 2.5, RFC 6890).
#pragma once

#include "dataplane/core/headers.h"

namespace weir::dataplane {

// fe80::1, the gateway's link-local address on every port.
inline constexpr Ip6Bytes kGatewayLinkLocal{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

// An uplink's link-local address: its interface identifier is made of the MAC (RFC 4291 2.5.6,
// RFC 2464 4).
inline Ip6Bytes link_local6(const MacAddress& mac) noexcept {
  const auto& m = mac.bytes;
  return {0xfe, 0x80, 0, 0, 0, 0, 0, 0, static_cast<uint8_t>(m[0] ^ 2), m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]};
}

inline bool is_multicast6(const Ip6Bytes& address) noexcept { return address[0] == 0xff; }
inline bool is_link_local6(const Ip6Bytes& address) noexcept {
  return address[0] == 0xfe && (address[1] & 0xc0) == 0x80;
}
inline bool is_unspecified6(const Ip6Bytes& address) noexcept {
  return (load<uint64_t>(address.data()) | load<uint64_t>(address.data() + 8)) == 0;
}
inline bool is_loopback6(const Ip6Bytes& address) noexcept {
  return load<uint64_t>(address.data()) == 0 &&
         load<uint64_t>(address.data() + 8) == __builtin_bswap64(1);
}
inline bool is_mapped6(const Ip6Bytes& address) noexcept {
  return load<uint64_t>(address.data()) == 0 && load<uint32_t>(address.data() + 8) == 0xffff'0000;
}
// Never on a wire as a source or destination of data.
inline bool is_host_only6(const Ip6Bytes& address) noexcept {
  return is_unspecified6(address) || is_loopback6(address) || is_mapped6(address);
}

}  // namespace weir::dataplane
