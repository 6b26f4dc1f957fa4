#include "control/ipam/ranges.h"

#include <strings.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>

#include "control/ipam/number.h"
#include "dataplane/api/protocol.h"

namespace weir::control {

namespace {

using Json = nlohmann::json;

Error wrong(const std::string& where, const std::string& complaint) {
  return {ErrorCode::config, where + " " + complaint};
}

// Go's JSON: keys match in any case, an exact match first. nullptr: absent or null.
const Json* find_key(const Json& object, const char* name) {
  const auto exact = object.find(name);
  if (exact != object.end()) return exact->is_null() ? nullptr : &*exact;
  for (const auto& [key, value] : object.items()) {
    if (strcasecmp(key.c_str(), name) == 0) return value.is_null() ? nullptr : &value;
  }
  return nullptr;
}

Number last_number(const IpPrefix& subnet) {
  const unsigned host_bits = subnet.address.bits() - subnet.length;
  const Number ones = host_bits >= 128 ? ~Number{0} : (Number{1} << host_bits) - 1;
  return number_of(subnet.address) | ones;
}

// The addresses of a subnet that a host may have: not the network address (in IPv6 the
// subnet-router anycast address, RFC 4291 2.6.1), not the IPv4 broadcast address.
struct Hosts {
  Number first;
  Number last;
};
Hosts hosts_of(const IpPrefix& subnet) {
  const Number last = last_number(subnet);
  return {number_of(subnet.address) + 1, subnet.address.is_ip4() ? last - 1 : last};
}

Range whole_range(const IpPrefix& subnet) {
  const Family family = subnet.address.family;
  const Hosts hosts = hosts_of(subnet);
  return {.subnet = subnet,
          .first = address_of(hosts.first, family),
          .last = address_of(hosts.last, family),
          .gateway = address_of(hosts.first, family)};
}

struct Cidr {
  IpAddress address;  // host bits as they were written
  uint8_t length = 0;
};

std::optional<Cidr> parse_cidr(const std::string& text) {
  const size_t slash = text.find('/');
  const auto address = parse_address(text.substr(0, slash));
  if (!address || slash == std::string::npos) return std::nullopt;
  uint8_t length = 0;
  const char* last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data() + slash + 1, last, length);
  if (error != std::errc{} || end != last || length > address->bits()) return std::nullopt;
  return Cidr{*address, length};
}

Result<IpPrefix> read_subnet(const Json& object, const std::string& where) {
  const Json* value = find_key(object, "subnet");
  if (value == nullptr) return wrong(where, "has no subnet; give one such as \"10.1.0.0/24\"");
  const auto cidr = value->is_string() ? parse_cidr(value->get<std::string>()) : std::nullopt;
  if (!cidr) return wrong(where, "has a subnet that is no range; give one such as \"10.1.0.0/24\"");
  const IpPrefix prefix = make_prefix(cidr->address, cidr->length);
  if (prefix.address != cidr->address) {
    return wrong(where, "has host bits set in its subnet; write " + to_string(prefix));
  }
  const int longest = cidr->address.bits() - 2;
  if (cidr->length > longest) {
    return wrong(where, "has the subnet " + to_string(prefix) +
                            ", which is too small to allocate from; the longest is /" +
                            std::to_string(longest));
  }
  return prefix;
}

// none: the key is absent.
Result<IpAddress> read_address(const Json& object, const char* key, Family family,
                               const std::string& where) {
  const Json* value = find_key(object, key);
  if (value == nullptr) return IpAddress{};
  const auto address = value->is_string() ? parse_address(value->get<std::string>()) : std::nullopt;
  if (!address || address->family != family) {
    return wrong(where, std::string("has a ") + key + " that is no address of its subnet's family");
  }
  return *address;
}

Result<Range> read_range(const Json& object, const std::string& where) {
  if (!object.is_object()) return wrong(where, "must be an object with a subnet");
  const auto subnet = read_subnet(object, where);
  if (!subnet) return subnet.error();
  Range range = whole_range(*subnet);
  const Family family = subnet->address.family;
  const auto start = read_address(object, "rangeStart", family, where);
  if (!start) return start.error();
  const auto end = read_address(object, "rangeEnd", family, where);
  if (!end) return end.error();
  const auto gateway = read_address(object, "gateway", family, where);
  if (!gateway) return gateway.error();
  if (!start->is_none()) {
    if (!contains(*subnet, *start))
      return wrong(where, "has a rangeStart outside " + to_string(*subnet));
    range.first = std::max(range.first, *start);
  }
  if (!end->is_none()) {
    if (!contains(*subnet, *end))
      return wrong(where, "has a rangeEnd outside " + to_string(*subnet));
    range.last = std::min(range.last, *end);
  }
  if (range.first > range.last) return wrong(where, "has a rangeEnd before its rangeStart");
  if (!gateway->is_none()) range.gateway = *gateway;
  return range;
}

bool overlap(const Range& a, const Range& b) {
  return a.first.family == b.first.family && a.first <= b.last && b.first <= a.last;
}

Result<RangeSet> read_set(const Json& array, const std::string& where) {
  if (!array.is_array() || array.empty())
    return wrong(where, "must be a list of at least one range");
  RangeSet set;
  for (size_t i = 0; i < array.size(); ++i) {
    const std::string name = where + "[" + std::to_string(i) + "]";
    auto range = read_range(array[i], name);
    if (!range) return range.error();
    for (const Range& other : set) {
      if (other.first.family != range->first.family)
        return wrong(name, "mixes IPv4 and IPv6 in one set; split it");
      if (overlap(other, *range)) {
        return wrong(name, "overlaps with " + to_string(other.subnet) + "; give disjoint ranges");
      }
    }
    set.push_back(*range);
  }
  return set;
}

Status append_sets(const Json& array, const std::string& where, RangeSets& sets) {
  if (!array.is_array()) return wrong(where, "must be a list of range sets, [[{\"subnet\": ...}]]");
  for (size_t i = 0; i < array.size(); ++i) {
    auto set = read_set(array[i], where + "[" + std::to_string(i) + "]");
    if (!set) return set.error();
    sets.push_back(std::move(*set));
  }
  return {};
}

Status check_sets(const RangeSets& sets) {
  if (sets.size() > api::kMaxPortAddresses) {
    return wrong("ipam.ranges", "has more than " + std::to_string(api::kMaxPortAddresses) +
                                    " sets; an interface takes no more addresses");
  }
  for (size_t i = 0; i < sets.size(); ++i) {
    for (size_t j = i + 1; j < sets.size(); ++j) {
      for (const Range& a : sets[i]) {
        const auto clash = std::find_if(sets[j].begin(), sets[j].end(),
                                        [&](const Range& b) { return overlap(a, b); });
        if (clash == sets[j].end()) continue;
        return wrong("ipam.ranges", "set " + std::to_string(i) + " overlaps with set " +
                                        std::to_string(j) + " in " + to_string(clash->subnet) +
                                        "; give disjoint ranges");
      }
    }
  }
  return {};
}

}  // namespace

RangeSets default_ranges(const std::vector<IpPrefix>& cidrs) {
  RangeSets sets;
  for (const IpPrefix& cidr : cidrs) {
    const auto same_family = std::find_if(sets.begin(), sets.end(), [&](const RangeSet& set) {
      return set.front().subnet.address.family == cidr.address.family;
    });
    RangeSet& set = same_family == sets.end() ? sets.emplace_back() : *same_family;
    set.push_back(whole_range(cidr));
  }
  return sets;
}

Result<RangeSets> parse_ranges(const Json& ipam, const std::vector<IpPrefix>& defaults,
                               const Json& runtime_ranges) {
  if (!ipam.is_null() && !ipam.is_object()) return wrong("ipam", "must be an object");
  RangeSets sets;
  if (!runtime_ranges.is_null()) {
    if (Status s = append_sets(runtime_ranges, "runtimeConfig.ipRanges", sets); !s)
      return s.error();
  }
  if (ipam.is_object() && find_key(ipam, "subnet") != nullptr) {
    auto range = read_range(ipam, "ipam");
    if (!range) return range.error();
    sets.push_back({*range});
  }
  if (const Json* ranges = ipam.is_object() ? find_key(ipam, "ranges") : nullptr;
      ranges != nullptr) {
    if (Status s = append_sets(*ranges, "ipam.ranges", sets); !s) return s.error();
  }
  if (sets.empty()) sets = default_ranges(defaults);
  if (Status status = check_sets(sets); !status) return status.error();
  return sets;
}

Result<RangeSets> parse_ranges(const Json& ipam, const std::vector<IpPrefix>& defaults) {
  return parse_ranges(ipam, defaults, Json());
}

const Range* find_range(const RangeSet& set, const IpAddress& address) noexcept {
  for (const Range& range : set) {
    if (range.first.family == address.family && range.first <= address && address <= range.last)
      return &range;
  }
  return nullptr;
}

std::string to_string(const RangeSet& set) {
  std::string text;
  for (const Range& range : set) text += (text.empty() ? "" : ", ") + to_string(range.subnet);
  return text;
}

}  // namespace weir::control
