// The rings of a connected pod as its worker sees them: mapped memory, rings and private
// indices. A descriptor or index that breaks the protocol sets fault() and ends the link's
// use: rx and tx do nothing from then on and the main thread disconnects.
//
// Threads: made and destroyed by the main thread, a grace period after it was unpublished;
// everything else but fault() and takes_offload() by the owning worker.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <string>

#include "dataplane/core/port.h"
#include "dataplane/ports/vhost/chain.h"

namespace weir::dataplane::vhost {

inline constexpr uint8_t kMaxPairs = 8;

// Rings of one queue pair, named from the pod's side.
struct PairPlace {
  RingPlace receive;
  RingPlace transmit;
};

struct LinkConfig {
  std::shared_ptr<Memory> memory;
  uint64_t features = 0;  // as negotiated
  std::span<const PairPlace> pairs;  // 1..kMaxPairs
};

class Link {
 public:
  static std::unique_ptr<Link> make(const LinkConfig& config);
  virtual ~Link() = default;

  // See Port for these. rx_done and flush return the bits of the vrings whose driver wants an
  // interrupt for what became visible.
  virtual uint16_t rx(const RxBatch& batch, DropSink& drops) noexcept = 0;
  virtual uint32_t rx_done() noexcept = 0;
  virtual uint16_t tx(uint8_t pair, std::span<Packet* const> packets, Drop* drops) noexcept = 0;
  virtual uint32_t flush() noexcept = 0;
  virtual bool arm() noexcept = 0;
  virtual void disarm() noexcept = 0;

  // Main thread, after the grace period: gives back all that was taken; then the vring's
  // RingPlace::base, for a link that goes on from here.
  virtual void finish() noexcept = 0;
  virtual uint16_t base(uint8_t vring) const noexcept = 0;
  // Main thread: rings and memory as they are now.
  virtual void state(api::MemifState& state) const noexcept = 0;

  uint8_t pairs() const noexcept { return pairs_; }
  uint64_t features() const noexcept { return features_; }
  bool takes_offload() const noexcept { return (features_ & kGuestOffload) == kGuestOffload; }

  bool faulty() const noexcept { return fault_.load(std::memory_order_acquire) != 0; }
  std::string fault_text() const;  // empty without a fault
  // Worker: true once, after the fault was set.
  bool take_fault_report() noexcept {
    if (!broken() || reported_) return false;
    return reported_ = true;
  }

 protected:
  enum class Side : uint8_t { transmit = 0, receive = 0x80 };

  explicit Link(const LinkConfig& config)
      : memory_(config.memory),
        features_(config.features),
        header_bytes_(header_size(config.features)),
        pairs_(static_cast<uint8_t>(config.pairs.size())) {}

  bool broken() const noexcept { return fault_.load(std::memory_order_relaxed) != 0; }
  void set_fault(Fault fault, Side side) noexcept {
    // release: pairs with the main thread's read; the first fault is the one reported
    if (!broken()) fault_.store(static_cast<uint8_t>(fault) | static_cast<uint8_t>(side),
                                std::memory_order_release);
  }
  // Whether the rings may be touched; sets the fault when memory was lost.
  bool usable(Side side) noexcept {
    if (memory_->lost()) [[unlikely]]
      set_fault(Fault::memory, side);
    return !broken();
  }

  const std::shared_ptr<Memory> memory_;
  const uint64_t features_;
  const uint16_t header_bytes_;
  const uint8_t pairs_;

 private:
  bool reported_ = false;
  std::atomic<uint8_t> fault_{0};  // a Fault and its Side; written by the worker, read by both
};

}  // namespace weir::dataplane::vhost
