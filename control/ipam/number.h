// Addresses as numbers, for arithmetic inside control/ipam/.
#pragma once

#include "dataplane/api/net.h"

namespace weir::control {

// IPv4 uses the lower 32 bits.
using Number = unsigned __int128;

inline Number number_of(const IpAddress& address) noexcept {
  Number number = 0;
  for (size_t i = 0; i < address.bits() / 8U; ++i) number = number << 8 | address.bytes[i];
  return number;
}

inline IpAddress address_of(Number number, Family family) noexcept {
  IpAddress address{.family = family};
  for (size_t i = address.bits() / 8U; i-- > 0; number >>= 8) {
    address.bytes[i] = static_cast<uint8_t>(number & 0xff);
  }
  return address;
}

}  // namespace weir::control
