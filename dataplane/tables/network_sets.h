// Sets of networks as the main thread keeps them: clients that a frontend admits, what is
// inside the cluster, and who outside sees pods' own addresses.
//
// Thread safety: main thread only; workers see the NetworkSet of each.
// Invariants: a set that a frontend uses is not erased. kInsideSet and kKeptSet are always
// there for workers; erased, they are empty.
#pragma once

#include <unordered_map>

#include "dataplane/core/rcu.h"
#include "dataplane/tables/list_draft.h"
#include "dataplane/tables/service_view.h"

namespace weir::dataplane {

class NetworkSets {
 public:
  explicit NetworkSets(Rcu& rcu);
  ~NetworkSets();  // no worker may run any more
  NetworkSets(const NetworkSets&) = delete;
  NetworkSets& operator=(const NetworkSets&) = delete;

  // One record of a list (service.h). Errors: invalid_argument, limit; then the set stays as
  // it was and its list has to be sent again from its first record.
  Status set(const api::PrefixMember& record, uint64_t generation);
  // Success when there is none. Error invalid_argument: a frontend uses it.
  Status erase(uint64_t key);
  size_t sweep(uint64_t generation);  // returns how many of other generations went

  Result<const NetworkSet*> acquire(uint64_t key);  // for a frontend. Error not_found
  void release(uint64_t key);
  const NetworkSet& inside() const noexcept { return *inside_; }
  const NetworkSet& kept() const noexcept { return *kept_; }

 private:
  struct Set {
    NetworkSet view;
    std::vector<IpPrefix> prefixes;
    uint64_t generation = 0;
    uint32_t frontends = 0;
    bool listed = false;     // by control
    bool permanent = false;  // there for workers, listed or not
  };
  using Sets = std::unordered_map<uint64_t, Set*>;

  const NetworkSet* add_permanent(uint64_t key);
  void apply(uint64_t key, std::vector<IpPrefix> prefixes, uint64_t generation);
  void publish(Set& set, std::vector<IpPrefix> prefixes);
  void remove(Sets::iterator at);

  Rcu& rcu_;
  ListDraft<IpPrefix> draft_{65536};
  Sets sets_;
  const NetworkSet* inside_;
  const NetworkSet* kept_;
};

}  // namespace weir::dataplane
