#include "dataplane/tables/prefix_set.h"

#include <algorithm>

namespace weir::dataplane {

namespace {

Ip6Bytes last_address(const IpPrefix& prefix) {
  Ip6Bytes last = prefix.address.bytes;
  for (size_t i = 0; i < prefix.address.bits() / 8U; ++i) {
    const int kept = std::clamp(static_cast<int>(prefix.length) - static_cast<int>(i) * 8, 0, 8);
    last[i] |= static_cast<uint8_t>(0xff >> kept);
  }
  return last;
}

}  // namespace

PrefixSet::PrefixSet(std::span<const IpPrefix> prefixes)
    : ip4_(ranges_of(prefixes, Family::ip4)), ip6_(ranges_of(prefixes, Family::ip6)) {}

// Two prefixes are nested or apart, so of a nest the first in order covers the rest.
PrefixSet::Ranges PrefixSet::ranges_of(std::span<const IpPrefix> prefixes, Family family) {
  std::vector<IpPrefix> sorted;
  std::ranges::copy_if(prefixes, std::back_inserter(sorted),
                       [&](const IpPrefix& p) { return p.address.family == family; });
  std::ranges::sort(sorted);
  Ranges ranges;
  for (const IpPrefix& prefix : sorted) {
    const Range range{prefix.address.bytes, last_address(prefix)};
    if (ranges.empty() || ranges.back().last < range.first) ranges.push_back(range);
  }
  return ranges;
}

bool PrefixSet::contains(Family family, const Ip6Bytes& address) const noexcept {
  const Ranges& ranges = family == Family::ip4 ? ip4_ : ip6_;
  const auto after = std::ranges::upper_bound(ranges, address, {}, &Range::first);
  return after != ranges.begin() && address <= std::prev(after)->last;
}

}  // namespace weir::dataplane
