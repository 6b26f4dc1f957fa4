// The neighbours of all uplinks: who was asked for, who answered, and the packets that wait.
// One state machine for ARP and neighbour discovery (RFC 4861 7.3, RFC 1122 2.3.2).
//
//   incomplete --answer--> reachable --kReachable--> probing --answer--> reachable
//        |                     ^  (announcement of another MAC: probing at once)
//        +--no answer--> failed --kFailed--> gone; a gateway is asked again instead
//                              ^---- no answer ---- probing
//
// On a hostile LAN: an entry is made only for what weir has packets or routes for, a MAC is
// taken only as the answer to a question that is open, and all that waits is bounded.
//
// Thread safety: main thread only. Time comes from the caller.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "dataplane/api/protocol.h"
#include "dataplane/core/packet.h"
#include "dataplane/neighbor/messages.h"

namespace weir::dataplane {

// A packet with all its bytes.
class HeldPacket {
 public:
  explicit HeldPacket(const Packet& packet);
  // Points into this object.
  const Packet& view() noexcept;

 private:
  Packet packet_;
  Segment body_;
  std::vector<std::byte> bytes_;
};

// What the table makes happen.
class NeighborEvents {
 public:
  virtual ~NeighborEvents() = default;
  // `known`: ask this MAC alone.
  virtual void ask(uint64_t port, const IpAddress& address, const MacAddress* known) = 0;
  // The neighbour's phase or MAC changed; phase failed refuses packets, incomplete holds them.
  virtual void changed(uint64_t port, const IpAddress& address, api::NeighborPhase phase,
                       const MacAddress& mac) = 0;
  virtual void forgotten(const IpAddress& address) = 0;
  // Routes the packet anew.
  virtual void resume(HeldPacket& packet) = 0;
  virtual void drop(const Packet& packet, Drop reason) = 0;
};

class NeighborTable {
 public:
  using Clock = std::chrono::steady_clock;
  using Time = Clock::time_point;

  static constexpr size_t kMaxNeighbors = 1024;      // of one uplink
  static constexpr size_t kMaxHeld = 32;             // packets for one neighbour
  static constexpr size_t kMaxHeldOnPort = 512;      // for all of one uplink
  static constexpr uint32_t kQuestions = 3;          // RFC 4861 10: MAX_MULTICAST_SOLICIT
  static constexpr auto kRetry = std::chrono::seconds(1);       // RETRANS_TIMER
  static constexpr auto kReachable = std::chrono::seconds(30);  // REACHABLE_TIME
  static constexpr auto kFailed = std::chrono::seconds(3);

  explicit NeighborTable(NeighborEvents& events) : events_(events) {}

  // The packet's next hop has no MAC yet: holds it and asks, or drops it. A neighbour that is
  // known meanwhile gets it at once.
  void hold(uint64_t port, const IpAddress& address, const Packet& packet, Time now);
  void hear(uint64_t port, const Announcement& said, Time now);
  // Routes lead to exactly these: they are asked for without a packet, and again and again.
  void set_gateways(const std::vector<std::pair<IpAddress, uint64_t>>& gateways, Time now);
  // Asks again, gives up, probes what is due.
  void tick(Time now);
  // The uplink is gone or has other addresses: forgets its neighbours.
  void forget_port(uint64_t port);
  // Without a link nobody is there; with it again, gateways are asked for at once.
  void link_changed(uint64_t port, bool up, Time now);
  std::vector<api::NeighborState> list(Time now) const;

 private:
  struct Entry {
    uint64_t port = 0;
    api::NeighborPhase phase = api::NeighborPhase::incomplete;
    MacAddress mac;  // kept while probing and failed
    bool gateway = false;
    uint32_t questions = 0;  // open ones without an answer
    Time due{};              // of the next question, or of the phase's end
    Time confirmed{};
    std::deque<HeldPacket> held;
  };
  using Entries = std::map<IpAddress, Entry>;

  Entries::iterator find_or_make(uint64_t port, const IpAddress& address, Time now);
  bool make_room(uint64_t port);
  void ask(const IpAddress& address, Entry& entry, Time now);
  void enter(const IpAddress& address, Entry& entry, api::NeighborPhase phase);
  void start_asking(const IpAddress& address, Entry& entry, api::NeighborPhase phase, Time now);
  void learn(const IpAddress& address, Entry& entry, const MacAddress& mac, Time now);
  void fail(const IpAddress& address, Entry& entry, Time now);
  void resume_held(Entry& entry);
  // False when the entry's time is over.
  bool advance(const IpAddress& address, Entry& entry, Time now);
  Entries::iterator forget(Entries::iterator entry);

  NeighborEvents& events_;
  Entries entries_;
  std::map<uint64_t, size_t> count_;  // of entries, by port
  std::map<uint64_t, size_t> held_;   // packets that wait, by port
};

}  // namespace weir::dataplane
