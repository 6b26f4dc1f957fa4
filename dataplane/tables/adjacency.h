// Next hops. A FIB entry holds an index into this array; one word says all that a
// rewrite needs, so a next-hop change is one store whatever number of routes use it.
//
// Thread safety: workers call load() at any time. All else: main thread only.
// Invariants: index 0 is never allocated and always "no route"; a released index is
// handed out again only after a grace period.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "dataplane/api/error.h"
#include "dataplane/api/net.h"
#include "dataplane/core/rcu.h"
#include "dataplane/tables/hop_groups.h"

namespace weir::dataplane {

enum class AdjacencyKind : uint8_t {
  none = 0,         // no route
  port = 1,         // to `port`, Ethernet destination `mac`
  blackhole = 2,
  unreachable = 3,
  unresolved = 4,   // its gateway or port is not there now
  local = 5,        // the gateway itself
  service = 6,      // an address of services; what else lives there is in `under`
  resolve = 7,      // a neighbour whose MAC is not known: packets go to the main thread
  multipath = 8,    // to one of several by the flow: `under` is their group
};

// The word: port number in the upper 16 bits, MAC or `under` below. Kinds other than `port`
// take the port numbers from 0xfff0 on.
struct Adjacency {
  AdjacencyKind kind = AdjacencyKind::none;
  uint16_t port = 0;
  MacAddress mac;
  // Kind service: index of the adjacency for all else sent there, 0 = none. Kind resolve: the
  // next hop's own index; 0 = the packet's destination is the neighbour. Kind multipath: the
  // number of the group.
  uint32_t under = 0;

  bool has_under() const noexcept {
    return kind == AdjacencyKind::service || kind == AdjacencyKind::resolve || kind == AdjacencyKind::multipath;
  }

  uint64_t pack() const noexcept {
    const uint64_t high = kind == AdjacencyKind::port ? port : 0xfff0U + static_cast<unsigned>(kind);
    uint64_t low = under;
    if (!has_under()) std::memcpy(&low, mac.bytes.data(), mac.bytes.size());
    return high << 48 | low;
  }
  static Adjacency unpack(uint64_t word) noexcept {
    Adjacency adjacency;
    const auto high = static_cast<uint16_t>(word >> 48);
    adjacency.kind = high >= 0xfff0U ? static_cast<AdjacencyKind>(high - 0xfff0U) : AdjacencyKind::port;
    adjacency.port = high >= 0xfff0U ? 0 : high;
    if (adjacency.has_under()) {
      adjacency.under = static_cast<uint32_t>(word);
      return adjacency;
    }
    std::memcpy(adjacency.mac.bytes.data(), &word, adjacency.mac.bytes.size());
    return adjacency;
  }
};
inline constexpr uint32_t kUsablePorts = 0xfff0;  // port numbers below this may be in an adjacency

class Adjacencies {
 public:
  // `capacity`: entries reserved as address space; memory is used as entries are.
  explicit Adjacencies(Rcu& rcu, uint32_t capacity = 1U << 22);
  ~Adjacencies();
  Adjacencies(const Adjacencies&) = delete;
  Adjacencies& operator=(const Adjacencies&) = delete;

  // Any thread. acquire: pairs with set(), so the port behind the word is published.
  uint64_t load(uint32_t index) const noexcept {
    return words_[index].load(std::memory_order_acquire);
  }

  // Where a flow of a multipath adjacency goes. Any thread.
  uint64_t choose(uint32_t group, uint32_t hash) const noexcept { return load(groups_.choose(group, hash)); }
  HopGroups& groups() noexcept { return groups_; }

  Result<uint32_t> allocate(const Adjacency& adjacency);
  void set(uint32_t index, const Adjacency& adjacency) noexcept;
  void release(uint32_t index);
  uint32_t in_use() const noexcept { return in_use_; }

 private:
  Rcu& rcu_;
  HopGroups groups_{rcu_};
  std::atomic<uint64_t>* words_ = nullptr;
  uint32_t capacity_ = 0;
  uint32_t fresh_ = 1;  // never used from here on
  uint32_t in_use_ = 0;
  std::shared_ptr<std::vector<uint32_t>> free_;  // outlives this object in pending retirements
};

}  // namespace weir::dataplane
