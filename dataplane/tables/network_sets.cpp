#include "dataplane/tables/network_sets.h"

#include "dataplane/api/masquerade.h"
#include "dataplane/tables/address_checks.h"

namespace weir::dataplane {

NetworkSets::NetworkSets(Rcu& rcu)
    : rcu_(rcu), inside_(add_permanent(api::kInsideSet)), kept_(add_permanent(api::kKeptSet)) {}

const NetworkSet* NetworkSets::add_permanent(uint64_t key) {
  auto* set = new Set{.permanent = true};
  publish(*set, {});
  sets_.emplace(key, set);
  return &set->view;
}

NetworkSets::~NetworkSets() {
  while (!sets_.empty()) remove(sets_.begin());
}

Status NetworkSets::set(const api::PrefixMember& record, uint64_t generation) {
  IpPrefix prefix;
  if ((record.flags & api::kListEmpty) == 0) {
    const auto good = checked_prefix(record.prefix);
    if (!good) {
      draft_.abandon();
      return good.error();
    }
    prefix = *good;
  }
  const auto last = draft_.take(record.set, record.flags, prefix);
  if (!last) return last.error();
  if (*last) apply(record.set, draft_.finish(), generation);
  return {};
}

void NetworkSets::apply(uint64_t key, std::vector<IpPrefix> prefixes, uint64_t generation) {
  auto at = sets_.find(key);
  const bool is_new = at == sets_.end();
  if (is_new) at = sets_.emplace(key, new Set).first;
  Set& set = *at->second;
  set.generation = generation;
  set.listed = true;
  if (is_new || set.prefixes != prefixes) publish(set, std::move(prefixes));
}

void NetworkSets::publish(Set& set, std::vector<IpPrefix> prefixes) {
  rcu_.retire_delete(set.view.publish(new PrefixSet(prefixes)));
  set.prefixes = std::move(prefixes);
}

Status NetworkSets::erase(uint64_t key) {
  const auto at = sets_.find(key);
  if (at == sets_.end()) return {};
  if (at->second->frontends > 0) {
    return {ErrorCode::invalid_argument, "prefix set " + std::to_string(key) + " is used by " +
                                             std::to_string(at->second->frontends) +
                                             " frontends; delete them first"};
  }
  if (!at->second->permanent) {
    remove(at);
    return {};
  }
  publish(*at->second, {});
  at->second->listed = false;
  return {};
}

void NetworkSets::remove(Sets::iterator at) {
  Set* set = at->second;
  sets_.erase(at);
  // Workers may still come to it by a frontend that was erased just before.
  rcu_.retire_delete(&set->view.networks());
  rcu_.retire_delete(set);
}

size_t NetworkSets::sweep(uint64_t generation) {
  std::vector<uint64_t> stale;
  for (const auto& [key, set] : sets_) {
    if (set->listed && set->generation != generation && set->frontends == 0) stale.push_back(key);
  }
  size_t swept = 0;
  for (const uint64_t key : stale) swept += erase(key) ? 1 : 0;
  return swept;
}

Result<const NetworkSet*> NetworkSets::acquire(uint64_t key) {
  const auto at = sets_.find(key);
  if (at == sets_.end() || !at->second->listed) {
    return {ErrorCode::not_found,
            "prefix set " + std::to_string(key) + " is not there; set it before its frontends"};
  }
  ++at->second->frontends;
  return &at->second->view;
}

void NetworkSets::release(uint64_t key) { --sets_.at(key)->frontends; }

}  // namespace weir::dataplane
