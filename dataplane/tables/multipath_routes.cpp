// RouteTable's part about routes with several next hops.
#include <algorithm>

#include "dataplane/tables/address_checks.h"
#include "dataplane/tables/route_table.h"

namespace weir::dataplane {

namespace {

constexpr uint16_t kMaxWeight = 256;

}  // namespace

Result<RouteTable::HopKey> RouteTable::checked_multipath(const api::Route& route) {
  const Error wrong{ErrorCode::invalid_argument,
                    "a multipath route needs 2 to " + std::to_string(api::kMaxNextHops) +
                        " next hops, each another unicast address, of weights from 1 to " + std::to_string(kMaxWeight)};
  if (route.next_hop_count < 2 || route.next_hop_count > api::kMaxNextHops) return wrong;
  HopKey key{.kind = api::RouteKind::multipath};
  for (size_t i = 0; i < route.next_hop_count; ++i) {
    api::NextHop hop{.gateway = route.next_hops[i].gateway, .weight = route.next_hops[i].weight};
    if (!normalize(hop.gateway) || !is_unicast(hop.gateway) || hop.weight == 0 || hop.weight > kMaxWeight) return wrong;
    key.next_hops.push_back(hop);
  }
  std::ranges::sort(key.next_hops);
  const bool twice = std::ranges::adjacent_find(key.next_hops, {}, &api::NextHop::gateway) != key.next_hops.end();
  return twice ? Result<HopKey>(wrong) : key;
}

Result<RouteTable::HopNode*> RouteTable::add_multipath(const HopKey& key) {
  HopNode made{key, {.now = {.kind = AdjacencyKind::multipath}}};
  Status status;
  for (const api::NextHop& next : key.next_hops) {
    const Result<HopNode*> member = acquire({.kind = api::RouteKind::gateway, .gateway = next.gateway});
    if (!member) {
      status = member.error();
      break;
    }
    made.second.members.push_back(*member);
  }
  const auto give_back = [&](const Error& error) {
    std::ranges::for_each(made.second.members, [this](HopNode* member) { release(member); });
    return error;
  };
  if (!status) return give_back(status.error());
  const Result<uint32_t> group = adjacencies_.groups().allocate(usable_members(made));
  if (!group) return give_back(group.error());
  made.second.now.under = *group;
  const Result<uint32_t> index = adjacencies_.allocate(made.second.now);
  if (!index) {
    adjacencies_.groups().release(*group);
    return give_back(index.error());
  }
  made.second.index = *index;
  HopNode* const hop = &*hops_.emplace(std::move(made)).first;
  for (HopNode* member : hop->second.members) member->second.groups.push_back(hop);
  return hop;
}

void RouteTable::remove_multipath(HopNode* hop) {
  adjacencies_.groups().release(hop->second.now.under);
  for (HopNode* member : hop->second.members) {
    std::erase(member->second.groups, hop);
    release(member);
  }
}

// Those that can be sent to now; without any, those that are being asked for; else all, so
// that senders are told.
std::vector<HopGroups::Member> RouteTable::usable_members(const HopNode& hop) const {
  std::vector<HopGroups::Member> usable;
  const auto collect = [&](auto wanted) {
    for (size_t i = 0; usable.size() < hop.second.members.size() && i < hop.second.members.size(); ++i) {
      const Hop& member = hop.second.members[i]->second;
      const api::NextHop& next = hop.first.next_hops[i];
      if (wanted(member.now.kind)) usable.push_back({next.gateway, member.index, next.weight});
    }
    return !usable.empty();
  };
  collect([](AdjacencyKind kind) { return kind == AdjacencyKind::port; }) ||
      collect([](AdjacencyKind kind) { return kind == AdjacencyKind::resolve; }) ||
      collect([](AdjacencyKind) { return true; });
  return usable;
}

void RouteTable::report_next_hops(const HopNode& hop, api::Route& route) {
  const auto& [key, value] = hop;
  route.next_hop_count = static_cast<uint8_t>(key.next_hops.size());
  bool none = true;
  for (size_t i = 0; i < key.next_hops.size(); ++i) {
    const bool unresolved = value.members[i]->second.now.kind == AdjacencyKind::unresolved;
    route.next_hops[i] = key.next_hops[i];
    route.next_hops[i].unresolved = unresolved ? 1 : 0;
    none = none && unresolved;
  }
  if (none) route.flags |= api::kRouteUnresolved;
}

}  // namespace weir::dataplane
