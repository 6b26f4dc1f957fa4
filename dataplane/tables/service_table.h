// Services of the node: frontends that clients aim at, the groups they lead to, and sets of
// networks. Control decides what is in them (dataplane/api/service.h).
//
// Thread safety: what is below "Workers" by workers, between two quiescent reports; what they
// return is good until the next one. All else by the main thread.
// Invariants:
// - a change of one frontend, group or set touches no other, and no worker waits for it;
// - a frontend's groups and set are there as long as it is;
// - what a generation did not name is gone after its sweep.
#pragma once

#include <map>
#include <unordered_map>

#include "dataplane/tables/backend_groups.h"
#include "dataplane/tables/frontend_index.h"
#include "dataplane/tables/network_sets.h"

namespace weir::dataplane {

// Who routes packets for frontends' addresses here. Main thread.
class FrontendAddresses {
 public:
  virtual ~FrontendAddresses() = default;
  // Its first frontend appears; an error refuses that. Workers do not see the frontend yet.
  virtual Status frontend_address_added(const IpAddress& address) = 0;
  virtual void frontend_address_removed(const IpAddress& address) = 0;  // its last one is gone
};

class ServiceTable {
 public:
  ServiceTable(Rcu& rcu, BackendPool& pool, FrontendAddresses& addresses);
  ~ServiceTable();  // no worker may run any more; the addresses are not taken back
  ServiceTable(const ServiceTable&) = delete;
  ServiceTable& operator=(const ServiceTable&) = delete;

  // --- Workers

  const FrontendView* find(const FlowKey& key) const noexcept { return frontends_.find(key); }
  bool is_inside(Family family, const Ip6Bytes& address) const noexcept {
    return sets_.inside().contains(family, address);
  }
  // Whether pods' packets to some hosts outside get another source, and who sees their own.
  bool masquerades() const noexcept { return !sets_.kept().networks().empty(); }
  bool keeps_source(Family family, const Ip6Bytes& destination) const noexcept {
    return sets_.kept().contains(family, destination);
  }
  // Defaults are filled in but for connections_per_port. acquire: pairs with set_settings().
  const api::ServiceSettings& settings() const noexcept {
    return *settings_.load(std::memory_order_acquire);
  }

  // --- Main thread. Each command says what is wrong and how to mend it; on error nothing
  // changed.

  // Errors: invalid_argument, limit, or what FrontendAddresses says; not_found: a group or
  // set is not there.
  Status set_frontend(const api::Frontend& frontend);
  Status erase_frontend(const api::FrontendKey& key);  // unknown is success
  Status set_backend(const api::Backend& record) { return groups_.set(record, generation_); }
  Status erase_group(uint64_t key);
  Status set_prefix(const api::PrefixMember& record) { return sets_.set(record, generation_); }
  Status erase_prefixes(uint64_t key);
  Status set_settings(const api::ServiceSettings& settings);

  // What is set from here on carries this generation (0 at start).
  void begin_generation(uint64_t generation) noexcept { generation_ = generation; }
  struct Swept {
    size_t frontends = 0;
    size_t lists = 0;  // groups and sets
  };
  Swept sweep(uint64_t generation);

  void for_each_frontend(const std::function<void(const api::FrontendState&)>& visit) const;
  // key 0: of all groups. Error not_found.
  Status for_each_backend(uint64_t key,
                          const std::function<void(const api::BackendState&)>& visit) const {
    return groups_.for_each(key, visit);
  }
  void for_each_address(const std::function<void(const IpAddress&)>& visit) const;
  size_t size() const noexcept { return entries_.size(); }
  // The configuration behind a frontend that find() returned, for people; nullptr: gone.
  const api::Frontend* config(const FrontendView& view) const;

 private:
  struct Key {
    IpAddress address;
    uint16_t port = 0;
    uint8_t protocol = 0;
    auto operator<=>(const Key&) const = default;
  };
  struct KeyHash {
    size_t operator()(const Key& key) const noexcept;
  };
  struct Entry {
    api::Frontend config;
    FrontendView view;
    uint64_t generation = 0;
  };
  using Entries = std::unordered_map<Key, Entry, KeyHash>;

  static Result<Key> checked_key(const api::FrontendKey& key);
  static Result<api::Frontend> checked(const api::Frontend& frontend);
  Result<FrontendView> acquire(const api::Frontend& config);
  Status acquire_address(const IpAddress& address);
  void release(const api::Frontend& config);
  void release_address(const IpAddress& address);
  void remove(Entries::iterator at);

  Rcu& rcu_;
  FrontendAddresses& addresses_;
  BackendGroups groups_;
  NetworkSets sets_;
  FrontendIndex frontends_;
  Entries entries_;
  std::map<IpAddress, uint32_t> address_uses_;         // frontends at each address
  std::atomic<const api::ServiceSettings*> settings_;  // written by the main thread
  uint64_t generation_ = 0;
};

}  // namespace weir::dataplane
