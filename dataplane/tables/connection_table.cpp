// The main thread's side of ConnectionTable.
#include "dataplane/tables/connection_table.h"

#include <random>

namespace weir::dataplane {

namespace {

constexpr Ticks seconds(uint32_t count) { return count * kTicksPerSecond; }
constexpr Ticks kLeastLifetime = seconds(1) / 2;  // table full
constexpr Ticks kLeastUdpLifetime = seconds(5);   // the same for flows that were answered

constexpr uint32_t kWholeShare = 1024;
constexpr uint32_t kDefaultLimit = 1000;
constexpr uint32_t kMostLimit = 10000;

// A clock that another worker read a little later does not make a connection old.
Ticks age_of(const Connection& record, Ticks now) {
  const Ticks age = now - record.last_seen.load(std::memory_order_relaxed);
  return static_cast<int32_t>(age) < 0 ? 0 : age;
}

Ticks tcp_lifetime(uint32_t bits, api::ConnectionPhase phase) {
  if ((bits & Connection::kReset) != 0) return seconds(10);
  switch (phase) {
    case api::ConnectionPhase::opening: return seconds(60);
    case api::ConnectionPhase::open: return seconds(86400);
    case api::ConnectionPhase::closing: break;
  }
  return seconds(30);
}

Ticks full_lifetime(const Connection& record, uint32_t bits, api::ConnectionPhase phase) {
  const bool open = phase == api::ConnectionPhase::open;
  switch (record.key().protocol) {
    case kProtoTcp: return tcp_lifetime(bits, phase);
    case kProtoSctp: return open ? seconds(210) : seconds(60);
    case kProtoIcmp4:
    case kProtoIcmp6: return seconds(60);  // RFC 5508 3.2
    default: return open ? seconds(180) : seconds(30);
  }
}

api::FrontendKey endpoint(const FlowKey& key, const Ip6Bytes& address, uint16_t port) {
  return {.address = {.family = key.family, .bytes = address},
          .port = __builtin_bswap16(port),
          .protocol = key.protocol};
}
api::FrontendKey source_of(const FlowKey& key) {
  return endpoint(key, key.source, key.source_port);
}
api::FrontendKey destination_of(const FlowKey& key) {
  return endpoint(key, key.destination, key.destination_port);
}

bool is_wanted(const api::ConnectionQuery& query, const api::ConnectionState& state) {
  if (query.protocol != 0 && query.protocol != state.client.protocol) return false;
  const auto any_of = [&](auto matches) {
    return matches(state.client) || matches(state.frontend) || matches(state.backend);
  };
  return any_of([&](const api::FrontendKey& end) {
    return (query.address.is_none() || query.address == end.address) &&
           (query.port == 0 || query.port == end.port);
  });
}

}  // namespace

ConnectionTable::ConnectionTable(Rcu& rcu, BackendPool& backends, const Options& options)
    : rcu_(rcu),
      backends_(backends),
      workers_(options.workers),
      filter_(options.capacity, options.numa_node),
      index_(options.capacity, options.numa_node),
      records_(options.capacity, options.workers, options.numa_node),
      quota_(0),
      worker_state_(std::make_unique<WorkerState[]>(options.workers)) {
  std::random_device random;
  const auto word = [&] { return uint64_t{random()} << 32 | random(); };
  for (uint64_t& secret : seed_.words) secret = word();
  for (uint32_t worker = 0; worker < workers_; ++worker) worker_state_[worker].random = word() | 1;
  set_quota(0);
}

ConnectionTable::~ConnectionTable() {
  while (freed_ < unlinked_) rcu_.reclaim();
}

void ConnectionTable::prepare() {
  if (prepared_) return;
  filter_.populate();
  index_.populate();
  records_.restock();
  prepared_ = true;
}

void ConnectionTable::set_quota(uint32_t connections) noexcept {
  quota_.set_limit(connections != 0 ? connections : std::max(records_.capacity() / 8, 1U));
}

Ticks ConnectionTable::lifetime(const Connection& record, uint32_t bits) const noexcept {
  // relaxed: written alone, compared with a clock
  if (record.is_affinity()) return record.lifetime.load(std::memory_order_relaxed);
  const api::ConnectionPhase phase = record.phase_of(bits);
  const Ticks full = full_lifetime(record, bits, phase);
  const bool is_open = phase == api::ConnectionPhase::open;
  const uint8_t protocol = record.key().protocol;
  if (is_open && (protocol == kProtoTcp || protocol == kProtoSctp)) return full;
  return std::max(is_open ? kLeastUdpLifetime : kLeastLifetime, full * share_ / kWholeShare);
}

bool ConnectionTable::out_of_time(const Connection& record, uint32_t bits,
                                  Ticks now) const noexcept {
  return age_of(record, now) > lifetime(record, bits);
}

uint64_t ConnectionTable::total(Counter WorkerState::*counter) const noexcept {
  uint64_t sum = 0;
  for (uint32_t worker = 0; worker < workers_; ++worker)
    sum += (worker_state_[worker].*counter).get();
  return sum;
}

// In a table that is half empty all have their whole time. From there on those have less and
// less that are easily made by a flood: half open, closing, and UDP, which finds its way
// again. New affinities, which last for hours, have to wait.
void ConnectionTable::update_pressure() {
  const uint64_t placed = total(&WorkerState::placed);
  const uint64_t half = std::max(records_.capacity() / 2, 1U);
  const uint64_t used = placed - freed_;
  const uint64_t above = used > half ? std::min(used - half, half) : 0;
  share_ = static_cast<uint32_t>(kWholeShare - above * kWholeShare / half);
  // relaxed: stands alone
  crowded_.store(above > 0, std::memory_order_relaxed);
  if (placed != unlinked_ || !occupied_.load(std::memory_order_relaxed)) return;
  // seq_cst: see ConnectionTable::settle()
  occupied_.store(false);
  if (total(&WorkerState::placed) != unlinked_) occupied_.store(true);
}

void ConnectionTable::reap(Ticks now, uint32_t budget) {
  if (!prepared_) return;
  update_pressure();
  const uint32_t all = records_.end() - 1;
  if (budget == 0) budget = all / 100 + 1;
  uint32_t chain = 0;
  std::array<uint32_t, 16> over{};  // whose slots are on their way into the cache
  size_t count = 0;
  for (uint32_t i = 0; i < std::min(budget, all); ++i) {
    if (hand_ >= records_.end()) hand_ = 1;
    const uint32_t number = hand_++;
    if (!is_over(number, now)) continue;
    over[count++] = number;
    if (count == over.size()) unlink({over.data(), std::exchange(count, 0)}, chain);
  }
  unlink({over.data(), count}, chain);
  if (chain != 0) rcu_.retire(&ConnectionTable::free_chain, this, chain);
  records_.restock();
}

bool ConnectionTable::is_over(uint32_t number, Ticks now) {
  constexpr uint32_t kAhead = 16;
  __builtin_prefetch(&records_[std::min(number + kAhead, records_.capacity())].state);
  const Connection& record = records_[number];
  // acquire: pairs with the worker that added it; its fields are readable
  const uint32_t bits = record.state.load(std::memory_order_acquire);
  if ((bits & Connection::kAdded) == 0) return false;
  const bool dead = (bits & Connection::kDead) != 0;
  if (!dead && !out_of_time(record, bits, now)) return false;
  if (!dead) ++expired_;
  index_.prefetch(hash(record.key()));
  index_.prefetch(hash(record.reverse_key()));
  return true;
}

void ConnectionTable::unlink(std::span<const uint32_t> numbers, uint32_t& chain) {
  for (const uint32_t number : numbers) {
    Connection& record = records_[number];
    // relaxed: stands alone. Bits that a worker sets meanwhile tell nothing any more.
    record.state.store(Connection::kDead, std::memory_order_relaxed);
    index_.erase(hash(record.key()), flow_number(number, Direction::forward));
    if (record.is_affinity()) {
      ++affinities_ended_;
    } else {
      index_.erase(hash(record.reverse_key()), flow_number(number, Direction::reverse));
      for (const FlowKey& key : record.keys) filter_.remove(key);
    }
    ++unlinked_;
    record.link.store(chain, std::memory_order_relaxed);
    chain = number;
  }
}

void ConnectionTable::free_chain(void* context, uint64_t head) {
  static_cast<ConnectionTable*>(context)->free(static_cast<uint32_t>(head));
}

void ConnectionTable::free(uint32_t chain) {
  while (chain != 0) {
    Connection& record = records_[chain];
    const uint32_t next = record.link.load(std::memory_order_relaxed);
    refund({record.owner, record.quota_ticket});
    backends_.release(record.backend_id, record.holder());
    // relaxed: published to the next worker with the list of free records
    record.state.store(0, std::memory_order_relaxed);
    records_.supply(chain);
    ++freed_;
    chain = next;
  }
}

api::ConnectionState ConnectionTable::describe(uint32_t number, uint32_t bits, Ticks now) const {
  const Connection& record = records_[number];
  const Ticks age = age_of(record, now);
  const Ticks whole = lifetime(record, bits);
  return {.client = source_of(record.key()),
          .frontend = destination_of(record.key()),
          .backend = source_of(record.reverse_key()),
          .masquerade = destination_of(record.reverse_key()),
          .phase = record.phase_of(bits),
          .flags = record.masqueraded() ? api::kConnectionMasqueraded : uint8_t{0},
          .idle_seconds = age / kTicksPerSecond,
          .left_seconds = whole > age ? (whole - age) / kTicksPerSecond : 0,
          .number = number};
}

void ConnectionTable::query(
    const api::ConnectionQuery& query, Ticks now,
    const std::function<void(const api::ConnectionState&, uint16_t owner)>& visit) const {
  uint32_t left = query.limit == 0 ? kDefaultLimit : std::min(query.limit, kMostLimit);
  for (uint32_t number = std::max(query.first, 1U); number < records_.end() && left > 0; ++number) {
    const Connection& record = records_[number];
    // acquire: pairs with the worker that added it; its fields are readable
    const uint32_t bits = record.state.load(std::memory_order_acquire);
    if ((bits & Connection::kAdded) == 0 || (bits & Connection::kDead) != 0 || record.is_affinity())
      continue;
    const api::ConnectionState state = describe(number, bits, now);
    if (!is_wanted(query, state)) continue;
    const bool is_port = record.owner != kNoOwner;
    const bool is_there = is_port && quota_.is_current(record.owner, record.quota_ticket);
    visit(state, is_there ? record.owner : kNoOwner);
    --left;
  }
}

api::ConnectionStats ConnectionTable::stats() const noexcept {
  return {.capacity = records_.capacity(),
          .in_use = static_cast<uint32_t>(total(&WorkerState::placed) - unlinked_),
          .affinities = static_cast<uint32_t>(total(&WorkerState::affinities) - affinities_ended_),
          .waiting = static_cast<uint32_t>(unlinked_ - freed_),
          .created = total(&WorkerState::created),
          .expired = expired_,
          .repicked = total(&WorkerState::repicked)};
}

}  // namespace weir::dataplane
