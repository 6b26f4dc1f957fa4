#include "dataplane/tables/backend_groups.h"

#include <algorithm>

#include "dataplane/tables/address_checks.h"

namespace weir::dataplane {

namespace {

constexpr uint16_t kMostWeight = 1000;

auto place_of(const api::Backend& backend) { return std::tie(backend.address, backend.port); }

BackendAddress wire_address(const api::Backend& backend) {
  return {.address = backend.address.bytes,
          .port = __builtin_bswap16(backend.port),
          .family = backend.address.family};
}

uint64_t identity(const BackendAddress& backend) {
  return FlowKey{.source = backend.address, .source_port = backend.port, .family = backend.family}
      .hash();
}

std::string text(const api::Backend& backend) {
  return to_string(backend.address) + " port " + std::to_string(backend.port);
}

Result<api::Backend> checked(const api::Backend& record) {
  api::Backend backend = record;
  backend.flags = backend.reserved = 0;
  if (!normalize(backend.address) || !is_unicast(backend.address))
    return {ErrorCode::invalid_argument, "a backend needs a unicast IPv4 or IPv6 address"};
  if (backend.port == 0)
    return {ErrorCode::invalid_argument,
            "backend " + to_string(backend.address) + " needs a port from 1 to 65535"};
  if (backend.weight == 0 || backend.weight > kMostWeight)
    return {ErrorCode::invalid_argument, "backend " + text(backend) + " has weight " +
                                             std::to_string(backend.weight) +
                                             "; choose one from 1 to 1000"};
  return backend;
}

// Sorted, of one family, each once.
Status check_list(std::vector<api::Backend>& backends) {
  std::ranges::sort(backends, {}, place_of);
  for (size_t i = 1; i < backends.size(); ++i) {
    if (backends[i].address.family != backends[0].address.family)
      return {ErrorCode::invalid_argument,
              "a group has IPv4 and IPv6 backends; make one group of each"};
    if (place_of(backends[i]) == place_of(backends[i - 1]))
      return {ErrorCode::invalid_argument,
              "backend " + text(backends[i]) + " is twice in its group; name it once"};
  }
  return {};
}

Error wrong_family(uint64_t group, Family frontend) {
  const std::string family = frontend == Family::ip4 ? "IPv4" : "IPv6";
  return {ErrorCode::invalid_argument, "group " + std::to_string(group) + " serves " + family +
                                           " frontends and needs " + family + " backends"};
}

}  // namespace

BackendGroups::~BackendGroups() {
  while (!groups_.empty()) remove(groups_.begin());
}

Status BackendGroups::set(const api::Backend& record, uint64_t generation) {
  api::Backend backend = record;
  if ((record.flags & api::kListEmpty) == 0) {
    const auto good = checked(record);
    if (!good) {
      draft_.abandon();
      return good.error();
    }
    backend = *good;
  }
  const auto last = draft_.take(record.group, record.flags, backend);
  if (!last) return last.error();
  return *last ? apply(record.group, draft_.finish(), generation) : Status();
}

Status BackendGroups::apply(uint64_t key, std::vector<api::Backend> backends, uint64_t generation) {
  if (Status status = check_list(backends); !status) return status;
  const auto found = groups_.find(key);
  Group* group = found == groups_.end() ? nullptr : found->second;
  if (group != nullptr && group->frontends > 0 && !backends.empty() &&
      backends[0].address.family != group->family) {
    return wrong_family(key, group->family);
  }
  auto members = number(key, group, backends);
  if (!members) return members.error();
  if (group == nullptr) groups_.emplace(key, group = new Group);
  group->generation = generation;
  publish(*group, *std::move(members));
  return {};
}

// Both lists are sorted: old numbers are found by one walk along them.
Result<std::vector<BackendGroups::Member>> BackendGroups::number(
    uint64_t key, const Group* old, const std::vector<api::Backend>& backends) {
  std::vector<Member> members;
  std::vector<BackendId> added;
  members.reserve(backends.size());
  size_t at = 0;
  const size_t end = old == nullptr ? 0 : old->members.size();
  for (const api::Backend& backend : backends) {
    while (at < end && place_of(old->members[at].config) < place_of(backend)) ++at;
    if (at < end && place_of(old->members[at].config) == place_of(backend)) {
      members.push_back({backend, old->members[at].id});
      continue;
    }
    const auto id = pool_.add(key, wire_address(backend));
    if (!id) {
      for (const BackendId back : added) pool_.leave(back);
      return id.error();
    }
    added.push_back(*id);
    members.push_back({backend, *id});
  }
  return members;
}

void BackendGroups::publish(Group& group, std::vector<Member> members) {
  const auto same = [](const Member& a, const Member& b) {
    return a.id == b.id && a.config.weight == b.config.weight;
  };
  if (!group.members.empty() && std::ranges::equal(group.members, members, same)) return;
  std::vector<Balance::Place> places;
  std::vector<Maglev::Member> shares;
  for (const Member& member : members) {
    const BackendAddress address = wire_address(member.config);
    places.push_back({address, member.id});
    shares.push_back({member.id, member.config.weight, identity(address)});
  }
  const auto by_wire = [](const Balance::Place& place) {
    return std::tie(place.at.address, place.at.port);
  };
  std::ranges::sort(places, {}, by_wire);
  rcu_.retire_delete(group.view.publish(new Balance{std::move(places), Maglev(std::move(shares))}));
  // After the table: who finds a backend gone and chooses again must not choose it again.
  std::vector<BackendId> stay;
  for (const Member& member : members) stay.push_back(member.id);
  std::ranges::sort(stay);
  for (const Member& old : group.members) {
    if (!std::ranges::binary_search(stay, old.id)) pool_.leave(old.id);
  }
  group.members = std::move(members);
}

Status BackendGroups::erase(uint64_t key) {
  const auto at = groups_.find(key);
  if (at == groups_.end()) return {};
  if (at->second->frontends > 0)
    return {ErrorCode::invalid_argument, "group " + std::to_string(key) + " is used by " +
                                             std::to_string(at->second->frontends) +
                                             " frontends; delete them first"};
  remove(at);
  return {};
}

void BackendGroups::remove(Groups::iterator at) {
  Group* group = at->second;
  groups_.erase(at);
  for (const Member& member : group->members) pool_.leave(member.id);
  // Workers may still come to it by a frontend that was erased just before.
  rcu_.retire_delete(&group->view.balance());
  rcu_.retire_delete(group);
}

size_t BackendGroups::sweep(uint64_t generation) {
  size_t swept = 0;
  for (auto at = groups_.begin(); at != groups_.end();) {
    const auto here = at++;
    if (here->second->generation == generation || here->second->frontends > 0) continue;
    remove(here);
    ++swept;
  }
  return swept;
}

Result<const BackendGroup*> BackendGroups::acquire(uint64_t key, Family family) {
  const auto at = groups_.find(key);
  if (at == groups_.end())
    return {ErrorCode::not_found,
            "group " + std::to_string(key) + " is not there; set it before its frontends"};
  Group& group = *at->second;
  const bool other_backends =
      !group.members.empty() && group.members[0].config.address.family != family;
  if (other_backends)
    return {ErrorCode::invalid_argument,
            "group " + std::to_string(key) +
                " has backends of the other address family; use a group of the frontend's family"};
  if (group.frontends > 0 && group.family != family) return wrong_family(key, group.family);
  ++group.frontends;
  group.family = family;
  return &group.view;
}

void BackendGroups::release(uint64_t key) { --groups_.at(key)->frontends; }

uint32_t BackendGroups::backends(uint64_t key) const {
  const auto at = groups_.find(key);
  return at == groups_.end() ? 0 : static_cast<uint32_t>(at->second->members.size());
}

Status BackendGroups::for_each(uint64_t key,
                               const std::function<void(const api::BackendState&)>& visit) const {
  if (key != 0 && !groups_.contains(key))
    return {ErrorCode::not_found,
            "group " + std::to_string(key) + " is not there; list all groups to see which are"};
  for (const auto& [number, group] : groups_) {
    if (key != 0 && number != key) continue;
    for (const Member& member : group->members)
      visit(
          {.config = member.config, .id = member.id, .connections = pool_.connections(member.id)});
  }
  return {};
}

}  // namespace weir::dataplane
