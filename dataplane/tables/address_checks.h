// What tables ask of addresses that come from outside.
#pragma once

#include "dataplane/api/error.h"
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

// The prefix with all that is not part of it zeroed. invalid_argument, with the remedy.
inline Result<IpPrefix> checked_prefix(const IpPrefix& prefix) {
  IpPrefix clean{.address = prefix.address, .length = prefix.length};
  if (!normalize(clean.address) || clean.length > clean.address.bits()) {
    return {ErrorCode::invalid_argument, "not an IPv4 or IPv6 prefix; write it like 10.0.0.0/8"};
  }
  const IpPrefix masked = make_prefix(clean.address, clean.length);
  if (masked != clean) {
    return {ErrorCode::invalid_argument, to_string(clean) +
                                             " has bits set past its length; did you mean " +
                                             to_string(masked) + "?"};
  }
  return clean;
}

}  // namespace weir::dataplane
