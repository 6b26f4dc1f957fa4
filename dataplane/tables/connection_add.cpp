// The workers' side of ConnectionTable that changes it.
#include "dataplane/tables/connection_claim.h"
#include "dataplane/tables/connection_table.h"

namespace weir::dataplane {

namespace {

constexpr unsigned kPortTries = 64;  // finds one with 90 % taken in all but 1 of 800 cases
constexpr unsigned kRaces = 8;       // lost to other workers before a packet is dropped

// xorshift64 (Marsaglia 2003): enough to spread ports.
uint64_t next_random(uint64_t& state) noexcept {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

FlowKey affinity_key(Family family, const Ip6Bytes& client, uint64_t number) noexcept {
  FlowKey key{.source = client,
              .source_port = static_cast<uint16_t>(family),
              .protocol = Connection::kAffinityProtocol};
  store(key.destination.data(), number);
  return key;
}

ConnectionTable::Outcome outcome_of(OutsideQuota::Verdict verdict) noexcept {
  switch (verdict) {
    case OutsideQuota::Verdict::room: return ConnectionTable::Outcome::added;
    case OutsideQuota::Verdict::host_full: return ConnectionTable::Outcome::over_host_quota;
    default: return ConnectionTable::Outcome::over_quota;
  }
}

}  // namespace

// An IPv6 host may have any address of its network: all of a /64 count as one.
ConnectionTable::Payer ConnectionTable::payer_of(uint16_t owner, Family family,
                                                 const Ip6Bytes& client) const noexcept {
  if (owner != kNoOwner) return {.owner = owner};
  FlowKey host{.family = family};
  std::copy_n(client.begin(), 8, host.source.begin());
  return {.ticket = static_cast<uint16_t>(hash(host))};
}

ConnectionTable::Outcome ConnectionTable::charge(Payer& payer) noexcept {
  if (payer.owner == kNoOwner) return outcome_of(outside_quota_.charge(payer.ticket));
  const auto epoch = quota_.charge(payer.owner);
  if (!epoch) return Outcome::over_quota;
  payer.ticket = *epoch;
  return Outcome::added;
}

void ConnectionTable::refund(const Payer& payer) noexcept {
  if (payer.owner == kNoOwner) return outside_quota_.refund(payer.ticket);
  quota_.refund(payer.owner, payer.ticket);
}

bool ConnectionTable::taken(const FlowKey& key) noexcept {
  return static_cast<bool>(find(key, hash(key)));
}

// A backend must be able to tell connections apart, and so must we by its replies. The client's
// own port is tried first (RFC 4787 4.2.2); others are drawn, as who knew them could guess
// another client's.
bool ConnectionTable::choose_tuple(uint64_t& random, const NewConnection& wanted,
                                   FlowKey& reverse) noexcept {
  reverse = {.source = wanted.backend,
             .destination = wanted.key.source,
             .source_port = wanted.backend_port,
             .destination_port = wanted.key.source_port,
             .protocol = wanted.key.protocol,
             .family = wanted.key.family};
  if (wanted.masquerade_first == 0) return reverse != wanted.key && !taken(reverse);
  reverse.destination = wanted.masquerade;
  const auto is_free = [&] { return reverse != wanted.key && !taken(reverse); };
  const uint16_t own = __builtin_bswap16(wanted.key.source_port);
  if (own >= wanted.masquerade_first && own <= wanted.masquerade_last && is_free()) return true;
  const uint32_t ports = wanted.masquerade_last - wanted.masquerade_first + 1U;
  for (unsigned i = 0; i < kPortTries; ++i) {
    const auto offset = (next_random(random) >> 32) * ports >> 32;
    reverse.destination_port =
        __builtin_bswap16(static_cast<uint16_t>(wanted.masquerade_first + offset));
    if (is_free()) return true;
  }
  return false;
}

void ConnectionTable::fill(Connection& record, const NewConnection& wanted,
                           const FlowKey& reverse) noexcept {
  record.keys = {wanted.key, reverse};
  // relaxed: published with the record; none yet
  for (std::atomic<uint64_t>& hop : record.hops) hop.store(0, std::memory_order_relaxed);
  record.owner = wanted.owner;
  record.backend_id = wanted.backend_id;
  // The backend sees what it answers to, the other way round.
  record.forward_change = change_between(wanted.key, {.source = reverse.destination,
                                                      .destination = reverse.source,
                                                      .source_port = reverse.destination_port,
                                                      .destination_port = reverse.source_port});
}

ConnectionTable::Added ConnectionTable::add(uint32_t worker, const NewConnection& wanted,
                                            Ticks now) noexcept {
  for (unsigned race = 0; race < kRaces; ++race) {
    const Match before = find(wanted.key, hash(wanted.key));
    if (before && before.direction == Direction::forward)
      return {Outcome::exists, before.connection};
    FlowKey reverse;
    if (before || !choose_tuple(worker_state_[worker].random, wanted, reverse))
      return {Outcome::tuple_taken};
    Payer payer = payer_of(wanted.owner, wanted.key.family, wanted.key.source);
    if (const Outcome refused = charge(payer); refused != Outcome::added) return {refused};
    const uint32_t number = records_.take(worker);
    if (number == 0) {
      refund(payer);
      return {Outcome::table_full};
    }
    Connection& record = records_[number];
    fill(record, wanted, reverse);
    record.quota_ticket = payer.ticket;
    // relaxed: published with the record
    record.last_seen.store(now, std::memory_order_relaxed);
    record.state.store(
        Connection::kTentative |
            connection_bits(Direction::forward, wanted.key.protocol, wanted.tcp_flags),
        std::memory_order_relaxed);
    const Placed placed = place(worker, number);
    if (placed == Placed::no_room) return {Outcome::table_full};
    if (placed == Placed::settled) {
      worker_state_[worker].created.add();
      return {Outcome::added, &record};
    }
  }
  return {Outcome::tuple_taken};
}

// The workers' numbers are theirs alone, so the draw here is another one.
ConnectionTable::Outcome ConnectionTable::preview(const NewConnection& wanted,
                                                  FlowKey& reverse) noexcept {
  uint64_t random = hash(wanted.key) | 1;
  if (!choose_tuple(random, wanted, reverse)) return Outcome::tuple_taken;
  const Payer payer = payer_of(wanted.owner, wanted.key.family, wanted.key.source);
  if (payer.owner == kNoOwner) {
    const Outcome refused = outcome_of(outside_quota_.look(payer.ticket));
    if (refused != Outcome::added) return refused;
  } else if (!quota_.has_room(payer.owner)) {
    return Outcome::over_quota;
  }
  const api::ConnectionStats now = stats();
  return now.in_use + now.waiting < now.capacity ? Outcome::added : Outcome::table_full;
}

ConnectionTable::Placed ConnectionTable::place(uint32_t worker, uint32_t number) noexcept {
  Connection& record = records_[number];
  backends_.hold(record.backend_id, record.holder());
  worker_state_[worker].placed.add();
  if (!record.is_affinity()) {
    // Before anybody can find the record; unlink() takes them back, in whatever way this ends.
    for (const FlowKey& key : record.keys) filter_.add(key);
  }
  ConnectionClaim claim(index_, records_, number, seed_);
  const bool has_room = claim.publish();
  if (!has_room || !claim.is_alone() || !claim.settle()) {
    claim.abandon();
    return has_room ? Placed::lost : Placed::no_room;
  }
  // seq_cst, after `placed` was counted and the record settled: of this load and the main
  // thread's look at the count at least one comes late enough (update_pressure).
  if (!occupied_.load()) occupied_.store(true);
  return Placed::settled;
}

void ConnectionTable::kill(Connection& connection) noexcept {
  // relaxed: the bit stands alone
  if (!connection.dead()) connection.state.fetch_or(Connection::kDead, std::memory_order_relaxed);
}

void ConnectionTable::repick(uint32_t worker, Connection& connection) noexcept {
  const uint32_t before = connection.state.fetch_or(Connection::kDead, std::memory_order_relaxed);
  if ((before & Connection::kDead) == 0) worker_state_[worker].repicked.add();
}

BackendId ConnectionTable::find_affinity(Family family, const Ip6Bytes& client, uint64_t number,
                                         Ticks now) noexcept {
  const FlowKey key = affinity_key(family, client, number);
  const Connection* record = find(key, hash(key)).connection;
  if (record == nullptr || out_of_time(*record, record->bits(), now)) return kNoBackend;
  return record->backend_id;
}

void ConnectionTable::set_affinity(uint32_t worker, const NewAffinity& wanted, Ticks now) noexcept {
  const FlowKey key = affinity_key(wanted.family, wanted.client, wanted.number);
  const Ticks ticks = wanted.seconds * kTicksPerSecond;
  if (Connection* record = find(key, hash(key)).connection; record != nullptr) {
    if (record->backend_id == wanted.backend_id) {
      // relaxed: the main thread only compares them with its own clock
      record->last_seen.store(now, std::memory_order_relaxed);
      record->lifetime.store(ticks, std::memory_order_relaxed);
      return;
    }
    kill(*record);
  } else if (crowded_.load(std::memory_order_relaxed)) {  // relaxed: stands alone
    return;
  }
  Payer payer = payer_of(wanted.owner, wanted.family, wanted.client);
  if (charge(payer) != Outcome::added) return;
  const uint32_t number = records_.take(worker);
  if (number == 0) return refund(payer);
  Connection& record = records_[number];
  fill(record, {.key = key, .backend_id = wanted.backend_id, .owner = wanted.owner}, {});
  record.quota_ticket = payer.ticket;
  record.last_seen.store(now, std::memory_order_relaxed);
  record.lifetime.store(ticks, std::memory_order_relaxed);
  record.state.store(Connection::kTentative, std::memory_order_relaxed);
  worker_state_[worker].affinities.add();
  static_cast<void>(place(worker, number));  // a lost race leaves the other's backend
}

}  // namespace weir::dataplane
