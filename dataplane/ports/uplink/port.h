// Uplink port: an Ethernet device of DPDK between this node and others. Unlike on a pod's
// port, neighbours have MAC addresses of their own, and so has the port.
//
// Stages know one address of weir's, the gateway's. So the port puts that in place of its own
// MAC where a frame comes in, and its own in place of the gateway's where one goes out.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "dataplane/core/port.h"
#include "dataplane/ports/uplink/device.h"

struct rte_mbuf;

namespace weir::dataplane::uplink {

class UplinkPort final : public Port {
 public:
  // `workers`: of the dataplane, numbered from 0; each polls a queue if there are enough.
  static Result<std::unique_ptr<UplinkPort>> open(const api::UplinkConfig& config, uint32_t workers);

  uint16_t rx(const RxBatch& batch, DropSink& drops) noexcept override;
  void rx_done() noexcept override;
  uint16_t tx(std::span<Packet* const> packets, Drop* drops) noexcept override;

  bool shared_tx() const noexcept override { return device_->tx_queues() >= workers_; }
  uint32_t rx_workers() const noexcept override { return device_->rx_queues(); }
  int longest_sleep_ms() const noexcept override { return 1; }
  void close() noexcept override;
  void state(api::PortState& state) const override;

  uint16_t mtu() const noexcept { return device_->mtu(); }
  const MacAddress& mac() const noexcept { return device_->mac(); }
  bool kernel_hears() const noexcept { return device_->is_kernels(); }
  // Called when the port is unpublished; the main thread's.
  void on_close(std::function<void()> call) { on_close_ = std::move(call); }
  // Main thread: looks at the link. True when it went up or down since.
  bool watch_link();
  bool link_up() const noexcept { return up_.load(std::memory_order_relaxed); }

 private:
  // Of one worker: the frames that its packets lie in until rx_done.
  struct alignas(64) Queue {
    std::array<rte_mbuf*, kVectorSize> held{};
    uint16_t held_count = 0;
  };

  UplinkPort(std::unique_ptr<Device> device, uint32_t workers);
  uint16_t queue_of_caller(uint16_t queues) const noexcept;
  Drop accept(const rte_mbuf& frame) const noexcept;
  rte_mbuf* to_mbuf(const Packet& packet, Drop& drop) noexcept;

  std::unique_ptr<Device> device_;
  uint32_t workers_;
  uint64_t mac_bits_;
  std::atomic<bool> up_{false};  // written by the main thread, read by workers
  std::vector<Queue> queues_;    // by receive queue
  std::function<void()> on_close_;
};

}  // namespace weir::dataplane::uplink
