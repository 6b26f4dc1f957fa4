// What tables ask of addresses that come from outside.
#pragma once

#include "dataplane/api/net.h"

namespace weir::dataplane {

// The same address with all that is not part of it zeroed; false when it is none.
inline bool normalize(IpAddress& address) {
  if (!address.is_ip4() && !address.is_ip6()) return false;
  const IpAddress clean = make_prefix(address, address.bits()).address;
  const bool tail_is_zero = clean.bytes == address.bytes;
  address = {.family = clean.family, .bytes = clean.bytes};
  return tail_is_zero;
}

inline bool is_unicast(const IpAddress& address) {
  if (address.is_ip4()) return address.bytes[0] != 0 && address.bytes[0] < 224;
  return address.bytes[0] != 0xff && address.bytes != IpAddress{}.bytes;
}

}  // namespace weir::dataplane
