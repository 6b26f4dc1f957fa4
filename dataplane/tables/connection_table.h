// Every translated connection of the node, found by both directions' packets, and clients'
// affinities. One table for all workers: a reply may arrive on any of them.
//
// Thread safety: by a worker with its own number, between two quiescent reports: what is
// below "Workers"; these take no lock, allocate nothing, make no system call. All else by
// the main thread. A Connection& is good until the worker's next quiescent report.
// Invariants:
// - no two live connections share a tuple, whatever workers add at once (ConnectionClaim);
// - a record is used again only a grace period after the main thread unlinked it;
// - what a record holds, one of its owner's quota and its backend, is given back just once,
//   when the record is.
#pragma once

#include <functional>
#include <span>

#include "dataplane/core/counters.h"
#include "dataplane/tables/connection_filter.h"
#include "dataplane/tables/connection_index.h"
#include "dataplane/tables/connection_records.h"
#include "dataplane/tables/outside_quota.h"
#include "dataplane/tables/owner_quota.h"

namespace weir::dataplane {

struct NewConnection {
  FlowKey key;  // of the packet that opens it: client -> frontend
  Ip6Bytes backend{};
  uint16_t backend_port = 0;  // wire order
  BackendId backend_id = kNoBackend;
  uint16_t owner = kNoOwner;  // port that it counts for
  uint8_t tcp_flags = 0;      // of that packet
  // With ports (host order, first..last) the backend sees this source address and one of
  // them; without, the client's own.
  Ip6Bytes masquerade{};
  uint16_t masquerade_first = 0;
  uint16_t masquerade_last = 0;
};

struct NewAffinity {
  Ip6Bytes client{};
  Family family = Family::none;
  uint64_t number = 0;  // api::Frontend::affinity
  BackendId backend_id = kNoBackend;
  uint16_t owner = kNoOwner;
  uint32_t seconds = 0;
};

class ConnectionTable {
 public:
  struct Options {
    uint32_t capacity = 1U << 21;  // records, 1..2^24 - 1; memory is used as they are
    uint32_t workers = 1;
    int numa_node = -1;
  };
  ConnectionTable(Rcu& rcu, BackendPool& backends, const Options& options);
  ~ConnectionTable();  // no worker may run any more
  ConnectionTable(const ConnectionTable&) = delete;
  ConnectionTable& operator=(const ConnectionTable&) = delete;

  // --- Workers

  struct Match {
    Connection* connection = nullptr;
    Direction direction = Direction::forward;
    explicit operator bool() const noexcept { return connection != nullptr; }
    // Live, and found by this key.
    template <class Key>
    bool is_of(const Key& key) const noexcept {
      return key == connection->key(direction) && !connection->dead();
    }
  };
  enum class Outcome : uint8_t {
    added,
    exists,  // another packet was first: `connection` is the one to use
    table_full,
    over_quota,   // of its owner, or of all that have none
    over_host_quota,  // it has no owner, and its host has as many as are left for all hosts
    tuple_taken,  // another connection has the backend's view of it: no port was free
  };
  struct Added {
    Outcome outcome = Outcome::table_full;
    Connection* connection = nullptr;  // with added and exists
  };

  // True: no lookup can find anything. May lag behind an add on another worker.
  bool empty() const noexcept { return !occupied_.load(std::memory_order_relaxed); }
  // Which packets need no lookup: those whose key no connection may have.
  ConnectionFilter::View filter() const noexcept { return filter_.view(); }
  // Key, here and below: FlowKey or one of its families'.
  template <class Key>
  uint64_t hash(const Key& key) const noexcept {
    return key.hash(seed_);
  }
  void prefetch(uint64_t hash) const noexcept { index_.prefetch(hash); }
  // Some time after prefetch(): put(i, flow) what the lookup of hashes[i] will probably find,
  // 0 = certainly nothing. Its record is on its way into the cache then.
  template <class Put>
  void prefetch_records(std::span<const uint64_t> hashes, Put&& put) const noexcept {
    const ConnectionIndex::View index = index_.view();
    const Connection* const records = &records_[0];
    for (size_t i = 0; i < hashes.size(); ++i) {
      put(i, index.glance(hashes[i], [records](FlowNumber flow) {
        const Connection& record = records[record_of(flow)];
        __builtin_prefetch(&record);
        __builtin_prefetch(&record.hops);
        return true;
      }));
    }
  }
  FlowNumber prefetch_record(uint64_t hash) const noexcept {
    FlowNumber found = 0;
    prefetch_records({&hash, 1}, [&](size_t, FlowNumber flow) { found = flow; });
    return found;
  }
  // `expected`: what prefetch_record() said, since the worker's last quiescent report.
  Match find_expected(const FlowKey& key, FlowNumber expected) noexcept {
    if (expected == 0) return {};
    const Match match = at(expected);
    return match.is_of(key) ? match : find(key, hash(key));
  }
  // A flow that a lookup named, since the worker's last quiescent report.
  Match at(FlowNumber flow) noexcept {
    return {.connection = &records_[record_of(flow)], .direction = direction_of(flow)};
  }
  Match find(const FlowKey& key, uint64_t hash) noexcept {
    const FlowNumber found =
        index_.glance(hash, [&](FlowNumber flow) { return at(flow).is_of(key); });
    return found != 0 ? at(found) : Match{};
  }
  // A packet of this connection: writes only what it changes. `tcp_flags`: 0 if not TCP.
  void touch(Connection& connection, Direction direction, uint8_t tcp_flags, Ticks now) noexcept {
    touch(connection, connection_bits(direction, connection.key().protocol, tcp_flags), now);
  }
  void touch(Connection& connection, uint32_t bits, Ticks now) noexcept {
    // relaxed: the main thread only compares it with its own clock
    if (connection.last_seen.load(std::memory_order_relaxed) != now)
      connection.last_seen.store(now, std::memory_order_relaxed);
    // relaxed: bits stand alone
    if ((bits & ~connection.bits()) != 0)
      connection.state.fetch_or(bits, std::memory_order_relaxed);
  }
  Added add(uint32_t worker, const NewConnection& wanted, Ticks now) noexcept;
  // No lookup that begins afterwards finds it.
  void kill(Connection& connection) noexcept;
  // As kill(): its backend is gone, its next packet is to choose another.
  void repick(uint32_t worker, Connection& connection) noexcept;

  // kNoBackend when there is none or it is too old. The backend may be gone.
  BackendId find_affinity(Family family, const Ip6Bytes& client, uint64_t number,
                          Ticks now) noexcept;
  // Sets, moves or refreshes it. In a table that is half full a client that has none gets
  // none: not an error.
  void set_affinity(uint32_t worker, const NewAffinity& wanted, Ticks now) noexcept;

  // --- Main thread

  // Memory for the index and the first records; before the first add().
  void prepare();
  // Visits some records and ends those that are dead or out of time. From a half full table
  // on, all but open TCP and SCTP connections have the less time the fuller it is. Call it
  // every 10 ms. `budget`: records to visit, 0 = a hundredth of all.
  void reap(Ticks now, uint32_t budget = 0);
  // `connections`: of one port at once, 0 = an eighth of the capacity.
  void set_quota(uint32_t connections) noexcept;
  // Of all together that no pod opened; without bound at first. How hosts share it: OutsideQuota.
  void set_outside_quota(uint32_t connections) noexcept { outside_quota_.set_limit(connections); }
  // The port is gone: its number begins again without connections.
  void forget_port(uint16_t port) noexcept { quota_.forget(port); }
  uint32_t connections_of(uint16_t port) const noexcept { return quota_.used(port); }
  // What add() would say to a flow that is not known; adds nothing. `reverse`: the packets
  // that would answer it; a masquerade's port in it is one of those that are free.
  Outcome preview(const NewConnection& wanted, FlowKey& reverse) noexcept;

  // Connections that the query asks for, by ascending number. `owner`: port number, or
  // kNoOwner when it has none or the port is gone; port_key is left to the caller.
  void query(const api::ConnectionQuery& query, Ticks now,
             const std::function<void(const api::ConnectionState&, uint16_t owner)>& visit) const;
  api::ConnectionStats stats() const noexcept;
  size_t memory_bytes() const noexcept {
    return filter_.memory_bytes() + index_.memory_bytes() + records_.memory_bytes();
  }

 private:
  struct alignas(64) WorkerState {  // written by one worker, the counters read by the main thread
    uint64_t random = 0;
    Counter placed;  // records that went into the index
    Counter created;
    Counter affinities;  // of those placed
    Counter repicked;
  };
  enum class Placed : uint8_t { settled, lost, no_room };

  // For whom a record counts: a pod's port or a host outside.
  struct Payer {
    uint16_t owner = kNoOwner;
    uint16_t ticket = 0;  // see Connection
  };
  Payer payer_of(uint16_t owner, Family family, const Ip6Bytes& client) const noexcept;
  Outcome charge(Payer& payer) noexcept;  // added: there was room
  void refund(const Payer& payer) noexcept;
  bool choose_tuple(uint64_t& random, const NewConnection& wanted, FlowKey& reverse) noexcept;
  bool taken(const FlowKey& key) noexcept;
  void fill(Connection& record, const NewConnection& wanted, const FlowKey& reverse) noexcept;
  Placed place(uint32_t worker, uint32_t number) noexcept;

  Ticks lifetime(const Connection& record, uint32_t bits) const noexcept;
  bool out_of_time(const Connection& record, uint32_t bits, Ticks now) const noexcept;
  bool is_over(uint32_t number, Ticks now);
  void unlink(std::span<const uint32_t> numbers, uint32_t& chain);
  static void free_chain(void* context, uint64_t head);  // for Rcu
  void free(uint32_t chain);
  void update_pressure();
  uint64_t total(Counter WorkerState::*counter) const noexcept;
  api::ConnectionState describe(uint32_t number, uint32_t bits, Ticks now) const;

  Rcu& rcu_;
  BackendPool& backends_;
  FlowSeed seed_;  // secret: nobody chooses flows that meet in one bucket
  uint32_t workers_;
  ConnectionFilter filter_;
  ConnectionIndex index_;
  ConnectionRecords records_;
  OwnerQuota quota_;
  OutsideQuota outside_quota_;
  std::unique_ptr<WorkerState[]> worker_state_;
  std::atomic<bool> occupied_{false};  // set by workers, cleared by the main thread
  std::atomic<bool> crowded_{false};   // set by the main thread, read by workers

  // Main thread.
  bool prepared_ = false;
  uint32_t hand_ = 1;      // record that reap() visits next
  uint32_t share_ = 1024;  // of their time that flows have, of 1024
  uint64_t unlinked_ = 0;
  uint64_t freed_ = 0;
  uint64_t affinities_ended_ = 0;
  uint64_t expired_ = 0;
};

}  // namespace weir::dataplane
