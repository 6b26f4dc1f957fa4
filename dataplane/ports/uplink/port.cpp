#include "dataplane/ports/uplink/port.h"

#include "dataplane/core/headers.h"

namespace weir::dataplane::uplink {

UplinkPort::UplinkPort(std::unique_ptr<Device> device, uint32_t workers)
    : device_(std::move(device)),
      workers_(workers),
      mac_bits_(mac_bits(device_->mac())),
      queues_(device_->rx_queues()) {}

Result<std::unique_ptr<UplinkPort>> UplinkPort::open(const api::UplinkConfig& config, uint32_t workers) {
  auto device = Device::open(config, workers);
  if (!device) return device.error();
  std::unique_ptr<UplinkPort> port(new UplinkPort(*std::move(device), workers));
  port->watch_link();
  return port;
}

bool UplinkPort::watch_link() {
  const bool up = device_->link_up();
  return up_.exchange(up, std::memory_order_relaxed) != up;  // relaxed: a flag alone
}

void UplinkPort::close() noexcept {
  if (on_close_) on_close_();
}

void UplinkPort::state(api::PortState& state) const {
  state.link = link_up() ? api::LinkState::up : api::LinkState::down;
  if (!link_up()) api::set_text(state.detail, "the device has no link");
  device_->state(state.uplink);
}

}  // namespace weir::dataplane::uplink
