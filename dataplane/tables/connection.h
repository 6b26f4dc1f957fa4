// One translated connection, or one client's affinity to a backend.
//
// Thread safety: the plain fields are written by the worker that adds it, before any other
// can find it, and stay as they are until a grace period after the main thread unlinked it.
// The atomics are written by any worker; each says what it means to whom.
#pragma once

#include <array>
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

enum class Direction : uint32_t {
  forward = 0,  // from the client
  reverse = 1,  // from the backend
};

// A record's number and a direction in one word: what the index holds. 0 = none.
using FlowNumber = uint32_t;
inline FlowNumber flow_number(uint32_t record, Direction direction) noexcept {
  return record << 1 | static_cast<uint32_t>(direction);
}
inline uint32_t record_of(FlowNumber flow) noexcept { return flow >> 1; }
inline Direction direction_of(FlowNumber flow) noexcept { return static_cast<Direction>(flow & 1); }

// Where a direction's translated packets go: what the FIB said after so many changes.
class CachedHop {
 public:
  // Nothing when it does not fit.
  CachedHop(uint64_t changes, uint32_t next_hop) noexcept
      : word_(next_hop < 1U << kHopBits ? changes << kHopBits | next_hop : 0) {}
  explicit CachedHop(uint64_t word) noexcept : word_(word) {}
  bool is_of(uint64_t changes) const noexcept { return word_ >> kHopBits == changes; }
  uint32_t next_hop() const noexcept { return word_ & ((1U << kHopBits) - 1); }
  uint64_t word() const noexcept { return word_; }

 private:
  static constexpr unsigned kHopBits = 24;  // leaves 2^40 changes, years of them
  uint64_t word_;
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

  // Of the packets that come, by Direction: client -> frontend, and backend -> masquerade,
  // which is the client or what took its place. What goes out is the other one reversed.
  std::array<FlowKey, 2> keys;
  std::array<std::atomic<uint64_t>, 2> hops;  // CachedHop; written and read by workers
  BackendId backend_id;
  uint16_t owner;        // number of the port that it came from, or kNoOwner
  // To be given back with it: the epoch of the owner's quota when this was added, or the
  // number that its host outside is counted by.
  uint16_t quota_ticket;
  ChecksumChange forward_change;  // by what the connection does to a client's packets
  std::atomic<Ticks> last_seen;      // written by workers, read by the main thread
  std::atomic<uint32_t> state;       // State bits; workers add bits, the main thread clears all
  std::atomic<Ticks> lifetime;       // affinity alone; written by workers
  std::atomic<uint32_t> link;        // next record of a list of free or unlinked ones
  std::atomic<uint32_t> next_batch;  // first record of the next list (ConnectionRecords)

  const FlowKey& key() const noexcept { return keys[0]; }
  const FlowKey& reverse_key() const noexcept { return keys[1]; }
  const FlowKey& key(Direction direction) const noexcept {
    return keys[static_cast<size_t>(direction)];
  }
  const FlowKey& other_key(Direction direction) const noexcept {
    return keys[static_cast<size_t>(direction) ^ 1];
  }
  std::atomic<uint64_t>& hop(Direction direction) noexcept {
    return hops[static_cast<size_t>(direction)];
  }

  bool is_affinity() const noexcept { return key().family == Family::none; }
  BackendHolder holder() const noexcept {
    return is_affinity() ? BackendHolder::affinity : BackendHolder::connection;
  }
  bool masqueraded() const noexcept {
    return reverse_key().destination != key().source ||
           reverse_key().destination_port != key().source_port;
  }

  // relaxed: bits stand alone; the record itself was published before any of them.
  uint32_t bits() const noexcept { return state.load(std::memory_order_relaxed); }
  bool dead() const noexcept { return (bits() & kDead) != 0; }
  api::ConnectionPhase phase() const noexcept { return phase_of(bits()); }
  api::ConnectionPhase phase_of(uint32_t bits) const noexcept {
    constexpr uint32_t kBothFins = kFinForward | kFinReverse;
    if ((bits & kReset) != 0 || (bits & kBothFins) == kBothFins)
      return api::ConnectionPhase::closing;
    const uint32_t open = key().protocol == kProtoTcp ? kReplied | kAcknowledged : kReplied;
    return (bits & open) == open ? api::ConnectionPhase::open : api::ConnectionPhase::opening;
  }
};
static_assert(sizeof(Connection) == 128);
static_assert(std::atomic<uint32_t>::is_always_lock_free);

// The state bits that a packet calls for. `tcp_flags`: 0 for other protocols.
inline uint32_t connection_bits(Direction direction, uint8_t protocol, uint8_t tcp_flags) noexcept {
  const bool forward = direction == Direction::forward;
  // Without a branch, as nobody foresees the direction.
  uint32_t bits = Connection::kReplied * static_cast<uint32_t>(direction);
  if (protocol != kProtoTcp) return bits;
  if (forward && (tcp_flags & kTcpSyn) == 0) bits |= Connection::kAcknowledged;
  if ((tcp_flags & kTcpFin) != 0)
    bits |= uint32_t{forward ? Connection::kFinForward : Connection::kFinReverse};
  if ((tcp_flags & kTcpRst) != 0) bits |= Connection::kReset;
  return bits;
}

}  // namespace weir::dataplane
