// Where addresses come from: host-local's ranges, checked and completed.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "dataplane/api/error.h"
#include "dataplane/api/net.h"

namespace weir::control {

struct Range {
  IpPrefix subnet;
  IpAddress first;    // inclusive; never the subnet's network or, in IPv4, broadcast address
  IpAddress last;     // inclusive
  IpAddress gateway;  // not handed out; base + 1 unless given; need not lie in the subnet
};

// One address comes out of a set. Its ranges are of one family and do not overlap.
using RangeSet = std::vector<Range>;
using RangeSets = std::vector<RangeSet>;

// One set for each family that `cidrs` has. They come from weir.json, already checked.
RangeSets default_ranges(const std::vector<IpPrefix>& cidrs);

// The network configuration's "ipam" object: "ranges" [[{subnet, rangeStart, rangeEnd,
// gateway}]] or the old form with these keys in the object itself. Neither given, or
// `ipam` null: the defaults. `runtime_ranges` is runtimeConfig.ipRanges (null when
// absent); its sets come first. Keys match in any case.
// Errors have code `config` (CNI code 7): host bits, too small a subnet, overlap, mixed
// families, an address outside its subnet, wrong types, more than 8 sets.
Result<RangeSets> parse_ranges(const nlohmann::json& ipam, const std::vector<IpPrefix>& defaults,
                               const nlohmann::json& runtime_ranges);
Result<RangeSets> parse_ranges(const nlohmann::json& ipam, const std::vector<IpPrefix>& defaults);

// The range of the set that may hand out `address` (its gateway included); nullptr: none.
const Range* find_range(const RangeSet& set, const IpAddress& address) noexcept;

// "10.244.0.0/24, 10.245.0.0/24".
std::string to_string(const RangeSet& set);

}  // namespace weir::control
