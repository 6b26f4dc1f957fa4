// A port: what a worker polls and sends to. Ports do not depend on ethdev.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "dataplane/api/protocol.h"
#include "dataplane/core/counters.h"
#include "dataplane/core/lease_match.h"
#include "dataplane/core/packet.h"
#include "dataplane/core/policer.h"

namespace weir::dataplane {

// What stages need to know of a port. Immutable once published; a change publishes
// a new one and retires the old after a grace period.
struct PortInfo {
  uint64_t key = 0;
  api::PortKind kind = api::PortKind::none;
  bool trusted = false;  // source checks do not apply
  bool kernel_hears = false;  // an uplink's: the node's kernel gets the same frames
  uint16_t mtu = 1500;   // L3 bytes
  MacAddress mac;        // of the peer; an uplink's own
  IpAddress gateway4;
  IpAddress gateway6;
  uint8_t address4_count = 0;
  uint8_t address6_count = 0;
  std::array<uint32_t, api::kMaxPortAddresses> address4{};  // network order
  std::array<std::array<uint8_t, 16>, api::kMaxPortAddresses> address6{};
  // For the express stage; match nothing on ports that are trusted, have limits, or have not
  // just one address of the family.
  LeaseMatch<32> lease4;
  LeaseMatch<48> lease6;
  PortPolicers* policers = nullptr;  // nullptr: no limits; freed a grace period after this
};

// What an address of the port's gateway is answered with.
inline const MacAddress& own_mac(const PortInfo& port) noexcept {
  return port.kind == api::PortKind::uplink ? port.mac : kGatewayMac;
}

PortInfo make_port_info(const api::PortConfig& config);

// Limits the port: its packets then take the way through source_check, which counts them,
// so that ports without limits pay nothing on theirs. nullptr is fine.
void set_policers(PortInfo& info, PortPolicers* policers);

// Where one rx call may put packets. packets[i] may use buffers + i * buffer_stride
// (buffer_stride bytes, worker-local) for its body, and takes body pieces from
// `segments` in order: kMaxSegments are there for each packet.
struct RxBatch {
  std::span<Packet> packets;
  std::span<Segment> segments;
  std::byte* buffers = nullptr;
  size_t buffer_stride = 0;
};

// Frames that rx or tx refused, by reason. Written by the calling worker only.
class DropSink {
 public:
  explicit DropSink(PortCounterBlock& counters) : counters_(&counters) {}
  void add(Drop drop, uint64_t packets = 1) noexcept { counters_->drop(drop, packets); }

 private:
  PortCounterBlock* counters_;
};

// Threads: rx, rx_done, arm, disarm, flush by the owning worker; tx by the owning
// worker, and by any worker when shared_tx() (others hand over to the owner).
// Construction, destruction and state() by the main thread. Destruction happens
// a grace period after the port was unpublished.
// No function called by a worker allocates, locks, logs, throws or blocks; only
// kernel ports make system calls.
class Port {
 public:
  virtual ~Port() = default;

  // Fills up to batch.packets.size() packets: length, head (min(length, kHeadSize)
  // bytes at kHeadroom), body, offload. Never sets in_port. Frames it must refuse
  // are counted in `drops`. Returns how many packets were filled.
  virtual uint16_t rx(const RxBatch& batch, DropSink& drops) noexcept = 0;
  // Bodies from the last rx are no longer used; their memory may go back to the peer. Not
  // called after an rx that filled nothing.
  virtual void rx_done() noexcept = 0;
  // Copies every frame out before it returns. drops[i] is set for frame i when it
  // was not sent and left alone otherwise. Frames with an offload come only when
  // takes_offload(). Returns how many were sent.
  virtual uint16_t tx(std::span<Packet* const> packets, Drop* drops) noexcept = 0;
  // Makes frames of earlier tx calls visible to the peer.
  virtual void flush() noexcept {}
  // Before the worker sleeps: asks the peer for wake-ups; true when there is work already.
  virtual bool arm() noexcept { return false; }
  // After the worker woke.
  virtual void disarm() noexcept {}

  // Constant over a port's life.
  virtual bool takes_offload() const noexcept { return false; }
  virtual bool shared_tx() const noexcept { return false; }
  // >= 0: the worker waits for this fd (own, never a peer's) with epoll and calls rx
  // only when it is readable. -1: rx is called in every sweep.
  virtual int poll_fd() const noexcept { return -1; }
  // How many workers call rx, each for a queue of its own: the first so many, by number. 1: the
  // owner alone.
  virtual uint32_t rx_workers() const noexcept { return 1; }
  // A port that cannot wake its worker: how long that may sleep between two looks at it.
  virtual int longest_sleep_ms() const noexcept { return 1000; }

  // Main thread, when the port was unpublished: gives back what others may need at once
  // (a socket's path). Workers may still use the rest until the port is destroyed.
  virtual void close() noexcept {}

  // Link, detail and peer name for the API. Main thread.
  virtual void state(api::PortState& state) const = 0;
};

// One slot of the port table. Writer: main thread. Readers: workers.
struct PortSlot {
  std::atomic<const PortInfo*> info{nullptr};  // release/acquire: publishes what it points to
  std::atomic<Port*> io{nullptr};              // release/acquire, published after info
  std::atomic<PortCounterBlock*> counters{nullptr};  // one block per worker; set before info
  std::atomic<uint32_t> worker{0};             // owner
};

inline constexpr uint32_t kMaxPorts = 65536;  // port numbers are 16 bits on the fast path

}  // namespace weir::dataplane
