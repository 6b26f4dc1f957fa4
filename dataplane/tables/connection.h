// One translated connection, or one client's affinity to a backend.
//
// Thread safety: the plain fields are written by the worker that adds it, before any other
// can find it, and stay as they are until a grace period after the main thread unlinked it.
// The atomics are written by any worker; each says what it means to whom.
#pragma once

#include <atomic>

#include "dataplane/api/service.h"
#include "dataplane/core/headers.h"
#include "dataplane/core/nat.h"
#include "dataplane/tables/backend_pool.h"
#include "dataplane/tables/flow_key.h"

namespace weir::dataplane {

// Time in steps that are coarse enough to be written seldom, from any start, and may wrap.
using Ticks = uint32_t;
inline constexpr Ticks kTicksPerSecond = 10;
inline Ticks ticks_at(uint64_t cycles, uint64_t hz) noexcept {
  return static_cast<Ticks>(cycles / (hz / kTicksPerSecond));
}

inline constexpr uint16_t kNoOwner = 0xffff;  // of a connection that counts for no port

enum class Direction : uint8_t {
  forward,  // from the client
  reverse,  // from the backend
};

struct alignas(64) Connection {
  enum State : uint32_t {  // bits; 0 = the record is not in use
    kTentative = 1,        // its worker still looks whether it is the only one
    kAdded = 2,
    kDead = 4,           // not to be used: workers skip it, the main thread takes it out
    kReplied = 8,        // a packet came from the backend
    kAcknowledged = 16,  // TCP: the client sent one without SYN
    kFinForward = 32,
    kFinReverse = 64,
    kReset = 128,
  };
  static constexpr uint8_t kAffinityProtocol = 255;

  // First line: what most packets need.
  FlowKey key;  // of the client's packets: client -> frontend
  Ip6Bytes backend;
  uint16_t backend_port;     // wire order, as all ports here
  uint16_t masquerade_port;  // the client's port, or the one that took its place
  uint8_t flags;             // api::kConnectionMasqueraded
  uint8_t reserved;
  uint16_t owner;  // number of the port that it came from, or kNoOwner

  // Second line.
  Ip6Bytes masquerade;  // the client's address, or the one that took its place
  uint64_t forward_hash;
  uint64_t reverse_hash;
  BackendId backend_id;
  uint16_t owner_epoch;  // of the owner's quota when this was added
  uint16_t reserved2;
  std::atomic<Ticks> last_seen;      // written by workers, read by the main thread
  std::atomic<uint32_t> state;       // State bits; workers add bits, the main thread clears all
  std::atomic<Ticks> lifetime;       // affinity alone; written by workers
  std::atomic<uint32_t> link;        // next record of a list of free or unlinked ones
  std::atomic<uint32_t> next_batch;  // first record of the next list (ConnectionRecords)
  ChecksumChange forward_change;  // by what the connection does to a client's packets

  bool is_affinity() const noexcept { return key.family == Family::none; }
  BackendHolder holder() const noexcept {
    return is_affinity() ? BackendHolder::affinity : BackendHolder::connection;
  }
  bool masqueraded() const noexcept { return (flags & api::kConnectionMasqueraded) != 0; }

  FlowKey reverse_key() const noexcept {
    return {.source = backend,
            .destination = masquerade,
            .source_port = backend_port,
            .destination_port = masquerade_port,
            .protocol = key.protocol,
            .family = key.family};
  }

  // Whether a packet of this key belongs to it, and its direction.
  bool matches(const FlowKey& packet, Direction& direction) const noexcept {
    direction = Direction::forward;
    if (key == packet) return true;
    direction = Direction::reverse;
    return answers_with(packet);
  }
  // packet == reverse_key(), without making one.
  bool answers_with(const FlowKey& packet) const noexcept {
    const auto differ = [](const Ip6Bytes& a, const Ip6Bytes& b) {
      return (load<uint64_t>(a.data()) ^ load<uint64_t>(b.data())) |
             (load<uint64_t>(a.data() + 8) ^ load<uint64_t>(b.data() + 8));
    };
    const uint32_t ports = load<uint32_t>(&packet.source_port) ^ load<uint32_t>(&backend_port);
    const uint32_t kind = load<uint32_t>(&packet.protocol) ^ load<uint32_t>(&key.protocol);
    return (differ(packet.source, backend) | differ(packet.destination, masquerade) | ports |
            kind) == 0;
  }

  // relaxed: bits stand alone; the record itself was published before any of them.
  uint32_t bits() const noexcept { return state.load(std::memory_order_relaxed); }
  bool dead() const noexcept { return (bits() & kDead) != 0; }
  api::ConnectionPhase phase() const noexcept { return phase_of(bits()); }
  api::ConnectionPhase phase_of(uint32_t bits) const noexcept {
    constexpr uint32_t kBothFins = kFinForward | kFinReverse;
    if ((bits & kReset) != 0 || (bits & kBothFins) == kBothFins)
      return api::ConnectionPhase::closing;
    const uint32_t open = key.protocol == kProtoTcp ? kReplied | kAcknowledged : kReplied;
    return (bits & open) == open ? api::ConnectionPhase::open : api::ConnectionPhase::opening;
  }
};
static_assert(sizeof(Connection) == 128 && offsetof(Connection, masquerade) == 64);
static_assert(offsetof(Connection, masquerade_port) == offsetof(Connection, backend_port) + 2 &&
              offsetof(FlowKey, destination_port) == offsetof(FlowKey, source_port) + 2);
static_assert(std::atomic<uint32_t>::is_always_lock_free);

// The state bits that a packet calls for. `tcp_flags`: 0 for other protocols.
inline uint32_t connection_bits(Direction direction, uint8_t protocol, uint8_t tcp_flags) noexcept {
  const bool forward = direction == Direction::forward;
  uint32_t bits = forward ? 0U : uint32_t{Connection::kReplied};
  if (protocol != kProtoTcp) return bits;
  if (forward && (tcp_flags & kTcpSyn) == 0) bits |= Connection::kAcknowledged;
  if ((tcp_flags & kTcpFin) != 0)
    bits |= uint32_t{forward ? Connection::kFinForward : Connection::kFinReverse};
  if ((tcp_flags & kTcpRst) != 0) bits |= Connection::kReset;
  return bits;
}

}  // namespace weir::dataplane
