// A record's way into the index, among workers that may add the same tuple.
//
// Thread safety: by the worker that took the record, in the order publish, is_alone, settle;
// after a false answer abandon() instead of the rest.
// Invariants: of records with a tuple in common one at most is settled and not dead. Each
// first puts its slots in, then looks for rivals; with both sequentially consistent, of two
// at least one sees the other. It yields to a settled one and, among unsettled ones, to the
// lower number; a higher one it marks dead, so that it cannot settle any more.
#pragma once

#include "dataplane/tables/connection_index.h"
#include "dataplane/tables/connection_records.h"

namespace weir::dataplane {

class ConnectionClaim {
 public:
  // The record's fields are filled in, its state is kTentative. `seed`: of the index's hashes.
  ConnectionClaim(ConnectionIndex& index, ConnectionRecords& records, uint32_t number,
                  const FlowSeed& seed) noexcept
      : index_(index),
        records_(records),
        number_(number),
        record_(records[number]),
        hashes_{record_.key().hash(seed), record_.reverse_key().hash(seed)} {}

  bool publish() noexcept {  // false: its buckets are full
    return publish(Direction::forward) &&
           (record_.is_affinity() || publish(Direction::reverse));
  }
  bool is_alone() noexcept {
    return rivals_yield(Direction::forward) &&
           (record_.is_affinity() || rivals_yield(Direction::reverse));
  }
  bool settle() noexcept {  // false: a rival was first
    uint32_t bits = record_.state.load();
    do {
      if ((bits & Connection::kDead) != 0) return false;
      // seq_cst: see yields(). The main thread reads the record once it sees kAdded.
    } while (!record_.state.compare_exchange_weak(
        bits, (bits & ~uint32_t{Connection::kTentative}) | Connection::kAdded));
    return true;
  }
  // The main thread takes it out of the index.
  void abandon() noexcept {
    // release: the main thread reads the record once it sees kAdded
    record_.state.fetch_or(Connection::kDead | Connection::kAdded, std::memory_order_release);
  }

 private:
  uint64_t hash(Direction direction) const noexcept {
    return hashes_[static_cast<size_t>(direction)];
  }
  bool publish(Direction direction) noexcept {
    return index_.claim(hash(direction), flow_number(number_, direction));
  }
  bool rivals_yield(Direction direction) noexcept {
    const FlowKey& key = record_.key(direction);
    const FlowNumber winner = index_.search(hash(direction), [&](FlowNumber flow) {
      const uint32_t other = record_of(flow);
      return other != number_ && records_[other].key(direction_of(flow)) == key && !yields(other);
    });
    return winner == 0;
  }
  bool yields(uint32_t other) noexcept {
    std::atomic<uint32_t>& state = records_[other].state;
    // seq_cst: either this exchange or the other's settle() comes first
    uint32_t bits = state.load();
    while ((bits & Connection::kDead) == 0) {
      if ((bits & Connection::kTentative) == 0 || other < number_) return false;
      if (state.compare_exchange_weak(bits, bits | Connection::kDead)) return true;
    }
    return true;
  }

  ConnectionIndex& index_;
  ConnectionRecords& records_;
  uint32_t number_;
  Connection& record_;
  std::array<uint64_t, 2> hashes_;  // by Direction
};

}  // namespace weir::dataplane
