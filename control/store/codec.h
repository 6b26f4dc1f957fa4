// How addresses lie in the store's columns: network order, 4 or 16 bytes, none = empty.
// Private to control/store/.
#pragma once

#include <algorithm>
#include <vector>

#include "control/store/database.h"
#include "dataplane/api/net.h"

namespace weir::control {

inline Blob blob_of(const IpAddress& address) {
  const size_t size = address.is_none() ? 0 : address.bits() / 8U;
  return Blob(address.bytes).first(size);
}

inline Blob blob_of(const MacAddress& mac) { return mac.bytes; }

// False: no address has such a size.
inline bool read_blob(const std::vector<uint8_t>& blob, IpAddress& address) {
  address = {};
  if (blob.size() == 4) address.family = Family::ip4;
  if (blob.size() == 16) address.family = Family::ip6;
  if (address.is_none() && !blob.empty()) return false;
  std::copy(blob.begin(), blob.end(), address.bytes.begin());
  return true;
}

inline bool read_blob(const std::vector<uint8_t>& blob, MacAddress& mac) {
  if (blob.size() != mac.bytes.size()) return false;
  std::copy(blob.begin(), blob.end(), mac.bytes.begin());
  return true;
}

}  // namespace weir::control
