// The built-in IPAM: host-local's behaviour over weir's store.
//
// Order: round robin in each pool from the last address reserved. A released address
// rests, so that a late packet or a stale cache does not reach its next owner: it comes
// again when its rest is over, or before that when nothing else is left, longest-free first.
// Durability: what allocate() returned is on disk already (inside a caller's Transaction:
// when that commits). A rollback is noticed and the memory read anew.
// Cost: O(log n) for each address, n = addresses taken, whatever the ranges' size.
// Thread safety: none; the control thread owns it. The Store outlives it.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "control/ipam/address_pool.h"
#include "control/ipam/ranges.h"
#include "control/store/store.h"

namespace weir::control {

// Container id of the node's own attachment; no runtime can name it (CNI ids start
// with a letter or digit).
inline constexpr char kHostContainerId[] = "@host";

struct IpamOptions {
  std::chrono::milliseconds rest = std::chrono::minutes(2);
  std::function<UnixMillis()> now = unix_millis;
};

// What others have of a network that weir shares with them (host_local_dir.h).
struct Elsewhere {
  std::vector<IpAddress> taken;  // weir's own may be among them
  std::vector<IpAddress> last;   // handed out last, for each set; none: weir's own counts
};

class Ipam {
 public:
  static Result<std::unique_ptr<Ipam>> open(Store& store, IpamOptions options = {});

  // One address out of each set, in the sets' order, for an attachment that is in the
  // store and holds none. `requested` addresses are taken where they fit; all must.
  // All or nothing. Errors: `limit` a set is exhausted; `exists` a requested address is
  // taken, or the attachment holds addresses already; `invalid_argument` a requested
  // address is no set's, or is a gateway; `io`, `permission` the store refused.
  Result<std::vector<Lease>> allocate(uint64_t attachment, const std::string& network,
                                      const RangeSets& sets,
                                      const std::vector<IpAddress>& requested = {},
                                      const Elsewhere& elsewhere = {});

  // Takes addresses that are in use already, whatever the ranges: those of a pod that is
  // adopted after recovery, and those of a delegated plugin. All or nothing; an address
  // that the same attachment holds already stays as it is.
  Status claim(uint64_t attachment, const std::vector<Lease>& leases);

  // Lets the attachment's addresses rest (delegated ones are forgotten at once).
  // An attachment without any is success.
  Status release(uint64_t attachment);

  // A DEL's last step: release() and Store::delete_attachment() in one. When the disk
  // refuses, the work is kept in memory and done before the next allocation, so a DEL
  // may answer success whatever this returns; the error is for the log. Call it outside
  // a Transaction.
  Status remove(uint64_t attachment);
  // Removals that wait for the disk. retry() tries them; call it now and then.
  size_t pending_removals() const noexcept { return pending_.size(); }
  Status retry();

  // The node's own addresses, one of each set, under the attachment (network,
  // kHostContainerId, ifname) of kind host, which is made when it is not there. Keeps
  // what still fits the sets.
  struct HostLease {
    uint64_t attachment = 0;
    std::vector<Lease> leases;
  };
  Result<HostLease> host_lease(const std::string& network, const std::string& ifname,
                               const RangeSets& sets);

  // Who has what, ordered by address; resting addresses too (lease.attachment 0).
  struct Holding {
    Lease lease;
    std::string container_id;
    std::string ifname;
    std::string pod_name;
    std::string pod_namespace;
  };
  Result<std::vector<Holding>> list();

  // Numbers of a set; `size` stops at 2^64 - 1.
  struct Usage {
    uint64_t size = 0;  // addresses that can be handed out, gateways left out
    uint64_t taken = 0;
    uint64_t resting = 0;
  };
  Result<Usage> usage(const RangeSet& set);
  // True: an allocation over these sets would find an address in each.
  Result<bool> can_allocate(const RangeSets& sets, const Elsewhere& elsewhere = {});
  std::chrono::milliseconds rest() const noexcept { return options_.rest; }

 private:
  struct PoolKey {
    std::string network;
    std::string pool;  // text of the set's first subnet
    auto operator<=>(const PoolKey&) const = default;
  };

  Ipam(Store& store, IpamOptions options) : store_(store), options_(std::move(options)) {}
  PoolKey key_of(const std::string& network, const RangeSet& set) const;
  AddressPool& pool(Family family) noexcept { return family == Family::ip4 ? pool4_ : pool6_; }
  class Borrowed;

  Status refresh();
  Status load();
  Status end_rests();
  Status remove_now(uint64_t attachment);
  std::optional<IpAddress> choose(const PoolKey& key, const RangeSets& sets, const RangeSet& set);
  std::optional<IpAddress> fresh(const PoolKey& key, const RangeSets& sets, const RangeSet& set);
  std::optional<IpAddress> rested(const RangeSets& sets, const RangeSet& set);
  Status check_requested(const RangeSets& sets, const IpAddress& address);
  // The requested address for each set, none where it may choose.
  Result<std::vector<IpAddress>> match_requested(const RangeSets& sets,
                                                 const std::vector<IpAddress>& requested);
  struct Request {
    uint64_t attachment;
    const std::string& network;
    const RangeSets& sets;
  };
  Result<Lease> take(const Request& request, size_t index, const IpAddress& asked);
  Status store_lease(const Lease& lease);
  Result<uint64_t> host_attachment(const std::string& network, const std::string& ifname);

  Store& store_;
  IpamOptions options_;
  AddressPool pool4_;
  AddressPool pool6_;
  std::map<PoolKey, IpAddress> cursors_;
  std::vector<uint64_t> pending_;
  uint64_t rollbacks_ = 0;  // the store's number when the memory was read
  bool loaded_ = false;
};

}  // namespace weir::control
