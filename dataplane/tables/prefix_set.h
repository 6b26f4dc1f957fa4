// A set of networks that answers whether an address is in one of them.
//
// Thread safety: immutable once built.
#pragma once

#include <span>
#include <vector>

#include "dataplane/core/headers.h"

namespace weir::dataplane {

class PrefixSet {
 public:
  explicit PrefixSet(std::span<const IpPrefix> prefixes);

  bool empty() const noexcept { return ip4_.empty() && ip6_.empty(); }
  // IPv4: the address stands in the first four bytes.
  bool contains(Family family, const Ip6Bytes& address) const noexcept;

 private:
  struct Range {
    Ip6Bytes first;
    Ip6Bytes last;
  };
  using Ranges = std::vector<Range>;  // ascending, without overlap
  static Ranges ranges_of(std::span<const IpPrefix> prefixes, Family family);

  Ranges ip4_;
  Ranges ip6_;
};

}  // namespace weir::dataplane
