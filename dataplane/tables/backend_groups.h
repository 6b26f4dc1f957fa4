// Groups of backends as the main thread keeps them.
//
// Thread safety: main thread only; workers see the BackendGroup of each.
// Invariants: a backend that stays in its group keeps its number. A group that a frontend
// uses is not erased, and its backends are of that frontend's family.
#pragma once

#include <functional>
#include <unordered_map>

#include "dataplane/core/rcu.h"
#include "dataplane/tables/list_draft.h"
#include "dataplane/tables/service_view.h"

namespace weir::dataplane {

class BackendGroups {
 public:
  BackendGroups(Rcu& rcu, BackendPool& pool) : rcu_(rcu), pool_(pool) {}
  ~BackendGroups();  // no worker may run any more
  BackendGroups(const BackendGroups&) = delete;
  BackendGroups& operator=(const BackendGroups&) = delete;

  // One record of a list (service.h). Errors: invalid_argument, limit; then the group stays
  // as it was and its list has to be sent again from its first record.
  Status set(const api::Backend& record, uint64_t generation);
  // Success when there is none. Error invalid_argument: a frontend uses it.
  Status erase(uint64_t key);
  size_t sweep(uint64_t generation);  // returns how many of other generations went

  // For a frontend of this family. Errors: not_found; invalid_argument: other family.
  Result<const BackendGroup*> acquire(uint64_t key, Family family);
  void release(uint64_t key);

  // Backends of one group or, with 0, of all. Error not_found.
  Status for_each(uint64_t key, const std::function<void(const api::BackendState&)>& visit) const;
  uint32_t backends(uint64_t key) const;  // 0 when there is no such group
  size_t size() const noexcept { return groups_.size(); }

 private:
  struct Member {
    api::Backend config;
    BackendId id = kNoBackend;
  };
  struct Group {
    BackendGroup view;
    std::vector<Member> members;  // by address and port
    uint64_t generation = 0;
    uint32_t frontends = 0;
    Family family = Family::none;  // of its frontends
  };
  using Groups = std::unordered_map<uint64_t, Group*>;

  Status apply(uint64_t key, std::vector<api::Backend> backends, uint64_t generation);
  Result<std::vector<Member>> number(uint64_t key, const Group* old,
                                     const std::vector<api::Backend>& backends);
  void publish(Group& group, std::vector<Member> members);
  void remove(Groups::iterator at);

  Rcu& rcu_;
  BackendPool& pool_;
  ListDraft<api::Backend> draft_{10000};
  Groups groups_;
};

}  // namespace weir::dataplane
