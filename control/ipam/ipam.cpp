#include "control/ipam/ipam.h"

#include <algorithm>
#include <limits>

namespace weir::control {

namespace {

// Ended rests that one allocation clears away: bounds its work, yet clears faster than
// addresses can be released.
constexpr int kRestsPerCall = 64;

const IpAddress* find_gateway(const RangeSets& sets, const IpAddress& address) {
  for (const RangeSet& set : sets) {
    for (const Range& range : set) {
      if (range.gateway == address) return &range.gateway;
    }
  }
  return nullptr;
}

// Lowest address of [from, to] that is free and no gateway.
std::optional<IpAddress> first_free(const AddressPool& pool, const RangeSets& sets, Number from,
                                    Number to, Family family) {
  auto found = pool.next_free(from, to);
  while (found) {
    const IpAddress address = address_of(*found, family);
    if (find_gateway(sets, address) == nullptr) return address;
    if (*found == to) break;
    found = pool.next_free(*found + 1, to);
  }
  return std::nullopt;
}

Error exhausted(const RangeSet& set) {
  return {ErrorCode::limit, "no address is left in " + to_string(set) +
                                "; delete pods or give the network a larger range"};
}

// Addresses of `leases` that the sets could hand out, at most one of each set.
std::vector<IpAddress> fitting(const RangeSets& sets, const std::vector<Lease>& leases) {
  std::vector<IpAddress> addresses;
  for (const RangeSet& set : sets) {
    const auto fits = std::find_if(leases.begin(), leases.end(), [&](const Lease& lease) {
      return find_range(set, lease.address) != nullptr &&
             find_gateway(sets, lease.address) == nullptr;
    });
    if (fits != leases.end()) addresses.push_back(fits->address);
  }
  return addresses;
}

// Attachment ids are SQLite's, which end at 2^63.
constexpr uint64_t kElsewhere = UINT64_MAX;

}  // namespace

// Others' addresses, taken in memory for as long as one allocation lasts.
class Ipam::Borrowed {
 public:
  Borrowed(Ipam& ipam, const std::vector<IpAddress>& addresses) : ipam_(ipam) {
    for (const IpAddress& address : addresses) {
      AddressPool& pool = ipam.pool(address.family);
      const Number number = number_of(address);
      if (pool.is_taken(number)) continue;
      borrowed_.emplace_back(address, pool.resting_since(number));
      pool.take(number, kElsewhere);
    }
  }
  ~Borrowed() {
    for (const auto& [address, since] : borrowed_) {
      AddressPool& pool = ipam_.pool(address.family);
      pool.free(number_of(address));
      if (since) pool.rest(number_of(address), *since);
    }
  }
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;

 private:
  Ipam& ipam_;
  std::vector<std::pair<IpAddress, std::optional<int64_t>>> borrowed_;
};

Result<std::unique_ptr<Ipam>> Ipam::open(Store& store, IpamOptions options) {
  std::unique_ptr<Ipam> ipam(new Ipam(store, std::move(options)));
  if (Status status = ipam->refresh(); !status) return status.error();
  return ipam;
}

Ipam::PoolKey Ipam::key_of(const std::string& network, const RangeSet& set) const {
  return {network, to_string(set.front().subnet)};
}

Status Ipam::refresh() {
  if (loaded_ && rollbacks_ == store_.rollbacks()) return {};
  loaded_ = false;
  Status status = load();
  loaded_ = static_cast<bool>(status);
  rollbacks_ = store_.rollbacks();
  return status;
}

Status Ipam::load() {
  const auto leases = store_.leases();
  if (!leases) return leases.error();
  const auto cursors = store_.cursors();
  if (!cursors) return cursors.error();
  pool4_.clear();
  pool6_.clear();
  cursors_.clear();
  for (const Lease& lease : *leases) {
    AddressPool& addresses = pool(lease.address.family);
    const Number number = number_of(lease.address);
    if (lease.attachment != 0) {
      addresses.take(number, lease.attachment);
    } else {
      // A clock that was set back must not make a rest endless.
      addresses.rest(number, std::min(lease.released_at, options_.now()));
    }
  }
  for (const Store::Cursor& cursor : *cursors)
    cursors_[{cursor.network, cursor.pool}] = cursor.last;
  return {};
}

Status Ipam::end_rests() {
  const UnixMillis ended = options_.now() - options_.rest.count();
  for (const Family family : {Family::ip4, Family::ip6}) {
    AddressPool& addresses = pool(family);
    for (int i = 0; i < kRestsPerCall; ++i) {
      const auto oldest = addresses.oldest();
      if (!oldest || oldest->since > ended) break;
      if (Status s = store_.delete_lease(address_of(oldest->number, family)); !s) return s;
      addresses.free(oldest->number);
    }
  }
  return {};
}

std::optional<IpAddress> Ipam::fresh(const PoolKey& key, const RangeSets& sets,
                                     const RangeSet& set) {
  const Family family = set.front().first.family;
  const AddressPool& addresses = pool(family);
  const auto cursor = cursors_.find(key);
  const Range* start = cursor == cursors_.end() ? nullptr : find_range(set, cursor->second);
  const size_t begin = start == nullptr ? 0 : static_cast<size_t>(start - set.data());
  if (start != nullptr && cursor->second < start->last) {
    const Number from = number_of(cursor->second) + 1;
    if (auto found = first_free(addresses, sets, from, number_of(start->last), family))
      return found;
  }
  // The rest of the circle: the ranges behind the cursor's, and at last the part before it.
  const size_t next = start == nullptr ? 0 : begin + 1;
  for (size_t i = 0; i < set.size(); ++i) {
    const Range& range = set[(next + i) % set.size()];
    auto found = first_free(addresses, sets, number_of(range.first), number_of(range.last), family);
    if (found) return found;
  }
  return std::nullopt;
}

std::optional<IpAddress> Ipam::rested(const RangeSets& sets, const RangeSet& set) {
  const Family family = set.front().first.family;
  std::optional<AddressPool::Resting> best;
  for (const Range& range : set) {
    const auto oldest = pool(family).longest_resting(
        number_of(range.first), number_of(range.last),
        [&](Number n) { return find_gateway(sets, address_of(n, family)) == nullptr; });
    if (oldest && (!best || *oldest < *best)) best = oldest;
  }
  return best ? std::optional<IpAddress>(address_of(best->number, family)) : std::nullopt;
}

std::optional<IpAddress> Ipam::choose(const PoolKey& key, const RangeSets& sets,
                                      const RangeSet& set) {
  const auto found = fresh(key, sets, set);
  return found ? found : rested(sets, set);
}

Status Ipam::check_requested(const RangeSets& sets, const IpAddress& address) {
  if (find_gateway(sets, address) != nullptr) {
    return Status(ErrorCode::invalid_argument, "the requested address " + to_string(address) +
                                                   " is the gateway; request another");
  }
  const AddressPool& addresses = pool(address.family);
  if (!addresses.is_taken(number_of(address))) return {};
  const uint64_t owner = addresses.owner(number_of(address));
  const std::string holder =
      owner == kElsewhere ? "a pod of host-local" : "attachment " + std::to_string(owner);
  return Status(ErrorCode::exists, "the requested address " + to_string(address) + " is taken by " +
                                       holder + "; request another or none");
}

Result<std::vector<IpAddress>> Ipam::match_requested(const RangeSets& sets,
                                                     const std::vector<IpAddress>& requested) {
  std::vector<IpAddress> wanted(sets.size());
  for (const IpAddress& address : requested) {
    const auto set = std::find_if(sets.begin(), sets.end(), [&](const RangeSet& s) {
      return find_range(s, address) != nullptr;
    });
    if (set == sets.end()) {
      if (Status s = check_requested(sets, address); !s) return s.error();
      return Error{ErrorCode::invalid_argument,
                   "the requested address " + to_string(address) +
                       " is in none of the network's ranges; request another"};
    }
    IpAddress& slot = wanted[static_cast<size_t>(set - sets.begin())];
    if (slot == address) continue;
    if (!slot.is_none()) {
      return Error{ErrorCode::invalid_argument,
                   "both " + to_string(slot) + " and " + to_string(address) +
                       " are requested out of " + to_string(*set) +
                       ", which gives one address; request one of them"};
    }
    if (Status s = check_requested(sets, address); !s) return s.error();
    slot = address;
  }
  return wanted;
}

Status Ipam::store_lease(const Lease& lease) {
  Status status = store_.put_lease(lease);
  if (status) pool(lease.address.family).take(number_of(lease.address), lease.attachment);
  return status;
}

Result<Lease> Ipam::take(const Request& request, size_t index, const IpAddress& asked) {
  const RangeSet& set = request.sets[index];
  const PoolKey key = key_of(request.network, set);
  const auto address =
      asked.is_none() ? choose(key, request.sets, set) : std::optional<IpAddress>(asked);
  if (!address) return exhausted(set);
  const Range& range = *find_range(set, *address);
  const Lease lease{.address = *address,
                    .network = request.network,
                    .attachment = request.attachment,
                    .length = range.subnet.length,
                    .gateway = range.gateway,
                    .position = static_cast<uint32_t>(index),
                    .reserved_at = options_.now()};
  if (Status s = store_lease(lease); !s) return s.error();
  if (Status s = store_.set_cursor({key.network, key.pool, *address}); !s) return s.error();
  cursors_[key] = *address;
  return lease;
}

Result<std::vector<Lease>> Ipam::allocate(uint64_t attachment, const std::string& network,
                                          const RangeSets& sets,
                                          const std::vector<IpAddress>& requested,
                                          const Elsewhere& elsewhere) {
  if (Status s = retry(); !s) return s.error();
  if (Status s = refresh(); !s) return s.error();
  auto transaction = store_.begin();
  if (!transaction) return transaction.error();
  const auto held = store_.leases_of(attachment);
  if (!held) return held.error();
  if (!held->empty()) {
    return Error{ErrorCode::exists, "attachment " + std::to_string(attachment) + " holds " +
                                        to_string(held->front().address) +
                                        " already; release it first"};
  }
  if (Status s = end_rests(); !s) return s.error();
  const Borrowed others(*this, elsewhere.taken);
  for (size_t i = 0; i < std::min(sets.size(), elsewhere.last.size()); ++i) {
    if (!elsewhere.last[i].is_none()) cursors_[key_of(network, sets[i])] = elsewhere.last[i];
  }
  const auto wanted = match_requested(sets, requested);
  if (!wanted) return wanted.error();
  std::vector<Lease> leases;
  for (size_t i = 0; i < sets.size(); ++i) {
    auto lease = take({attachment, network, sets}, i, (*wanted)[i]);
    if (!lease) return lease.error();
    leases.push_back(std::move(*lease));
  }
  if (Status s = transaction->commit(); !s) return s.error();
  return leases;
}

Status Ipam::claim(uint64_t attachment, const std::vector<Lease>& leases) {
  if (Status s = refresh(); !s) return s;
  auto transaction = store_.begin();
  if (!transaction) return transaction.error();
  for (Lease lease : leases) {
    const uint64_t owner = pool(lease.address.family).owner(number_of(lease.address));
    if (owner == attachment) continue;
    lease.attachment = attachment;
    if (lease.reserved_at == 0) lease.reserved_at = options_.now();
    if (Status s = store_lease(lease); !s) return s;
  }
  return transaction->commit();
}

Status Ipam::release(uint64_t attachment) {
  if (Status s = refresh(); !s) return s;
  auto transaction = store_.begin();
  if (!transaction) return transaction.error();
  const auto held = store_.leases_of(attachment);
  if (!held) return held.error();
  const UnixMillis now = options_.now();
  for (const Lease& lease : *held) {
    AddressPool& addresses = pool(lease.address.family);
    const bool rests = lease.source == LeaseSource::builtin && options_.rest.count() > 0;
    Status s = rests ? store_.rest_lease(lease.address, now) : store_.delete_lease(lease.address);
    if (!s) return s;
    if (rests) addresses.rest(number_of(lease.address), now);
    if (!rests) addresses.free(number_of(lease.address));
  }
  return transaction->commit();
}

Status Ipam::remove_now(uint64_t attachment) {
  auto transaction = store_.begin();
  if (!transaction) return transaction.error();
  if (Status s = release(attachment); !s) return s;
  if (Status s = store_.delete_attachment(attachment); !s) return s;
  return transaction->commit();
}

Status Ipam::remove(uint64_t attachment) {
  Status status = remove_now(attachment);
  const auto waiting = std::find(pending_.begin(), pending_.end(), attachment);
  if (!status && waiting == pending_.end()) pending_.push_back(attachment);
  if (status && waiting != pending_.end()) pending_.erase(waiting);
  return status;
}

Status Ipam::retry() {
  // What is done inside a caller's transaction may be rolled back with it, so it stays
  // listed: ids are never used again, so removing one twice is harmless.
  const bool durable = !store_.in_transaction();
  for (const uint64_t attachment : pending_) {
    if (Status s = remove_now(attachment); !s) return s;
  }
  if (durable) pending_.clear();
  return {};
}

Result<uint64_t> Ipam::host_attachment(const std::string& network, const std::string& ifname) {
  const auto present = store_.find_attachment(network, kHostContainerId, ifname);
  if (!present) return present.error();
  if (*present) return (*present)->id;
  return store_.add_attachment({.network = network,
                                .container_id = kHostContainerId,
                                .ifname = ifname,
                                .kind = api::PortKind::host,
                                .state = AttachmentState::ready});
}

Result<Ipam::HostLease> Ipam::host_lease(const std::string& network, const std::string& ifname,
                                         const RangeSets& sets) {
  auto transaction = store_.begin();
  if (!transaction) return transaction.error();
  const auto id = host_attachment(network, ifname);
  if (!id) return id.error();
  auto held = store_.leases_of(*id);
  if (!held) return held.error();
  const std::vector<IpAddress> kept = fitting(sets, *held);
  if (kept.size() != sets.size() || held->size() != sets.size()) {
    if (Status s = release(*id); !s) return s.error();
    held = allocate(*id, network, sets, kept);
    if (!held) return held.error();
  }
  if (Status s = transaction->commit(); !s) return s.error();
  return HostLease{.attachment = *id, .leases = std::move(*held)};
}

Result<std::vector<Ipam::Holding>> Ipam::list() {
  auto leases = store_.leases();
  if (!leases) return leases.error();
  auto attachments = store_.attachments();
  if (!attachments) return attachments.error();
  std::map<uint64_t, const Attachment*> by_id;
  for (const Attachment& attachment : *attachments) by_id[attachment.id] = &attachment;
  std::vector<Holding> holdings;
  for (Lease& lease : *leases) {
    Holding holding{.lease = std::move(lease)};
    const auto owner = by_id.find(holding.lease.attachment);
    if (owner != by_id.end()) {
      holding.container_id = owner->second->container_id;
      holding.ifname = owner->second->ifname;
      holding.pod_name = owner->second->pod_name;
      holding.pod_namespace = owner->second->pod_namespace;
    }
    holdings.push_back(std::move(holding));
  }
  return holdings;
}

Result<Ipam::Usage> Ipam::usage(const RangeSet& set) {
  if (Status s = refresh(); !s) return s.error();
  Usage usage;
  Number size = 0;
  for (const Range& range : set) {
    const AddressPool& addresses = pool(range.first.family);
    const Number first = number_of(range.first);
    const Number last = number_of(range.last);
    const bool has_gateway = range.first <= range.gateway && range.gateway <= range.last;
    size += last - first + (has_gateway ? 0 : 1);
    usage.taken += addresses.count_taken(first, last);
    usage.resting += addresses.count_resting(first, last);
  }
  usage.size = static_cast<uint64_t>(std::min<Number>(size, std::numeric_limits<uint64_t>::max()));
  return usage;
}

Result<bool> Ipam::can_allocate(const RangeSets& sets, const Elsewhere& elsewhere) {
  if (Status s = refresh(); !s) return s.error();
  const Borrowed others(*this, elsewhere.taken);
  return std::all_of(sets.begin(), sets.end(),
                     [&](const RangeSet& set) { return choose({}, sets, set).has_value(); });
}

}  // namespace weir::control
