// Which unicast addresses a router carries, by their first byte.
// Sources: RFC 1812 5.3.7, RFC 6890, RFC 4291 2.4.
#pragma once

#include <cstdint>

namespace weir::dataplane {

// Not 0/8, 127/8, multicast, reserved or broadcast.
constexpr bool routable4(uint8_t first) noexcept {
  return static_cast<uint8_t>(first - 1) < 223 && first != 127;
}
// Global unicast begins with 001, unique local addresses with 1111110.
constexpr bool routable6(uint8_t first) noexcept { return first >> 5 == 1 || first >> 1 == 0x7e; }

}  // namespace weir::dataplane
