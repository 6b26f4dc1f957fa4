// A route of the dataplane's over one next hop or several.
#pragma once

#include <algorithm>
#include <span>

#include "dataplane/api/protocol.h"

namespace weir::control {

// `hops`: 1 to api::kMaxNextHops, each another.
inline api::Route route_via(const IpPrefix& prefix, std::span<const api::NextHop> hops) {
  if (hops.size() == 1) return {.prefix = prefix, .kind = api::RouteKind::gateway, .gateway = hops[0].gateway};
  api::Route route{.prefix = prefix,
                   .kind = api::RouteKind::multipath,
                   .next_hop_count = static_cast<uint8_t>(hops.size())};
  std::ranges::copy(hops, route.next_hops.begin());
  return route;
}

}  // namespace weir::control
