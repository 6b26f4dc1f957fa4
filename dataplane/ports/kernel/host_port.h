// The node's own port. Where the kernel keeps an uplink's interface it gets every frame there
// itself: what weir would pass on of these unchanged it has already.
#pragma once

#include "dataplane/ports/kernel/tap_port.h"

namespace weir::dataplane {

class HostPort final : public TapPort {
 public:
  // `ports`: kMaxPorts slots, which outlive this object. Errors as TapPort::make.
  static Result<std::unique_ptr<Port>> make(api::Fd tap, const PortSlot* ports);

  uint16_t tx(std::span<Packet* const> packets, Drop* drops) noexcept override;

 private:
  HostPort(api::Fd tap, const PortSlot* ports) : TapPort(std::move(tap)), ports_(ports) {}
  bool is_there_already(const Packet& packet) const noexcept;

  const PortSlot* ports_;
};

}  // namespace weir::dataplane
