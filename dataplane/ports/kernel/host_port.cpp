#include "dataplane/ports/kernel/host_port.h"

namespace weir::dataplane {

Result<std::unique_ptr<Port>> HostPort::make(api::Fd tap, const PortSlot* ports) {
  if (const Status usable = prepare(tap.get()); !usable) return usable.error();
  return std::unique_ptr<Port>(new HostPort(std::move(tap), ports));
}

// A service's packet has another destination now, and an answer of weir's is new to the kernel.
bool HostPort::is_there_already(const Packet& packet) const noexcept {
  if (packet.translated || packet.generated) return false;
  // acquire: pairs with publication
  const PortInfo* from = ports_[packet.in_port].info.load(std::memory_order_acquire);
  return from != nullptr && from->kernel_hears;
}

uint16_t HostPort::tx(std::span<Packet* const> packets, Drop* drops) noexcept {
  uint16_t sent = 0;
  for (size_t i = 0; i < packets.size(); ++i) {
    if (is_there_already(*packets[i])) {
      drops[i] = Drop::tx_kernel_has_it;
    } else {
      sent = static_cast<uint16_t>(sent + TapPort::tx(packets.subspan(i, 1), drops + i));
    }
  }
  return sent;
}

}  // namespace weir::dataplane
