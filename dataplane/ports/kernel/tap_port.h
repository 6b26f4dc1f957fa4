// Kernel port: a TAP device in a pod's (or the node's) network namespace, opened
// there by control. One frame a system call, with a virtio-net header in front, so
// checksum and TCP segmentation requests pass through unsplit.
// Source: Linux Documentation/networking/tuntap.rst, virtio 1.1 section 5.1.6.
#pragma once

#include <memory>

#include "dataplane/api/codec.h"
#include "dataplane/core/port.h"

namespace weir::dataplane {

class TapPort : public Port {
 public:
  // Takes a tap descriptor. It must be IFF_TAP | IFF_NO_PI | IFF_VNET_HDR and
  // attached to a device; else ErrorCode::invalid_argument.
  static Result<std::unique_ptr<Port>> make(api::Fd tap);

  uint16_t rx(const RxBatch& batch, DropSink& drops) noexcept override;
  void rx_done() noexcept override {}
  uint16_t tx(std::span<Packet* const> packets, Drop* drops) noexcept override;

  bool takes_offload() const noexcept override { return true; }
  bool shared_tx() const noexcept override { return true; }  // the kernel serialises writes
  int poll_fd() const noexcept override { return tap_.get(); }
  void state(api::PortState& state) const override;

 protected:
  explicit TapPort(api::Fd tap) : tap_(std::move(tap)) {}
  // What make() checks and sets on the descriptor.
  static Status prepare(int tap);

 private:
  api::Fd tap_;
};

}  // namespace weir::dataplane
