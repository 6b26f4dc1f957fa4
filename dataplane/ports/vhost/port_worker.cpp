// The worker's half of the vhost-user port: built without exceptions, makes no system call
// but the one that wakes the helper thread.
#include "dataplane/ports/memif/tx_spread.h"
#include "dataplane/ports/vhost/port.h"

namespace weir::dataplane::vhost {

// Every function loads the link anew: between two calls the main thread may have
// replaced it, and then the main thread gives back what the old one had taken. acquire pairs
// with the publication.

void VhostPort::report_fault(Link& link) noexcept {
  if (!link.take_fault_report()) return;
  bell_.broken.store(true);
  service_.interrupts_->ring();
}

void VhostPort::raise(uint32_t vrings) noexcept {
  if (vrings == 0) return;
  bell_.raise.fetch_or(vrings);
  service_.interrupts_->ring();
}

uint16_t VhostPort::rx(const RxBatch& batch, DropSink& drops) noexcept {
  Link* link = link_.load(std::memory_order_acquire);
  if (link == nullptr) return 0;
  const uint16_t filled = link->rx(batch, drops);
  report_fault(*link);
  return filled;
}

void VhostPort::rx_done() noexcept {
  if (Link* link = link_.load(std::memory_order_acquire)) raise(link->rx_done());
}

uint16_t VhostPort::tx(std::span<Packet* const> packets, Drop* drops) noexcept {
  Link* link = link_.load(std::memory_order_acquire);
  if (link == nullptr) {
    for (size_t i = 0; i < packets.size(); ++i) drops[i] = Drop::tx_port_down;
    return 0;
  }
  const auto send = [link](uint8_t pair, std::span<Packet* const> some, Drop* refused) {
    return link->tx(pair, some, refused);
  };
  const uint16_t sent =
      link->pairs() == 1 ? send(0, packets, drops) : memif::spread(packets, link->pairs(), drops, send);
  report_fault(*link);
  return sent;
}

void VhostPort::flush() noexcept {
  if (Link* link = link_.load(std::memory_order_acquire)) raise(link->flush());
}

bool VhostPort::arm() noexcept {
  bell_.armed.store(true);  // before the driver is asked for kicks
  Link* link = link_.load(std::memory_order_acquire);
  return link != nullptr && link->arm();
}

void VhostPort::disarm() noexcept {
  bell_.armed.store(false);
  if (Link* link = link_.load(std::memory_order_acquire)) link->disarm();
}

}  // namespace weir::dataplane::vhost
