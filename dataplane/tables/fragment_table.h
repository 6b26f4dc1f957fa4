// Where the later fragments of translated packets go, which have no ports to tell: the first
// fragment decides, and this table keeps the decision for those behind it.
//
// Thread safety: one worker's own; all fragments of a packet come through one port.
// Invariants: each port has one region of the table, so a flood of fragments from one port
// pushes out only what shares its region. An entry holds addresses, not a connection: it may
// outlive that one.
#pragma once

#include <array>
#include <cstdint>

#include "dataplane/tables/flow_key.h"

namespace weir::dataplane {

class FragmentTable {
 public:
  // RFC 1122 3.3.2 gives reassembly 60 to 120 seconds; Linux gives up after 30.
  static constexpr uint64_t kSeconds = 30;

  // `life`: of an entry, in cycles.
  explicit FragmentTable(uint64_t life) : life_(life) {}

  // `packet`: source, destination, protocol and, in place of the ports, the identification
  // that all fragments of a packet share. `to`: whose addresses they get. `now`: TSC.
  void remember(uint16_t port, const FlowKey& packet, const FlowKey& to, uint64_t now) noexcept {
    Entry* oldest = nullptr;
    for (Entry& entry : set_of(port, packet)) {
      if (entry.packet == packet) {
        oldest = &entry;
        break;
      }
      if (oldest == nullptr || entry.expires < oldest->expires) oldest = &entry;
    }
    *oldest = {packet, to, now + life_};
  }

  // nullptr when the first fragment was not seen, or too long ago.
  const FlowKey* find(uint16_t port, const FlowKey& packet, uint64_t now) noexcept {
    for (const Entry& entry : set_of(port, packet)) {
      if (entry.packet == packet && entry.expires > now) return &entry.to;
    }
    return nullptr;
  }

 private:
  static constexpr size_t kRegions = 64;
  static constexpr size_t kSets = 16;  // of a region
  static constexpr size_t kWays = 4;

  struct Entry {
    FlowKey packet;
    FlowKey to;
    uint64_t expires = 0;  // TSC
  };
  using Set = std::array<Entry, kWays>;

  Set& set_of(uint16_t port, const FlowKey& packet) noexcept {
    return sets_[port % kRegions * kSets + packet.hash() % kSets];
  }

  uint64_t life_;
  std::array<Set, kRegions * kSets> sets_{};
};

}  // namespace weir::dataplane
