// The worker's half of the memif port: built without exceptions, makes no system call
// but the one that wakes the helper thread.
#include "dataplane/ports/memif/port.h"
#include "dataplane/ports/memif/tx_spread.h"

namespace weir::dataplane::memif {

// Every function loads the link anew: between two calls the main thread may have
// replaced it, and then what the old one had pending is void. acquire pairs with the
// publication.

void MemifPort::report_fault(Link& link) noexcept {
  if (!link.take_fault_report()) return;
  bell_.broken.store(true);
  service_.interrupts_->ring();
}

uint16_t MemifPort::rx(const RxBatch& batch, DropSink&) noexcept {
  Link* link = link_.load(std::memory_order_acquire);
  if (link == nullptr) return 0;
  const uint16_t filled = link->rx(batch);
  report_fault(*link);
  if (ip_) {
    for (Packet& packet : batch.packets.first(filled)) ip_->wrap(packet);
  }
  return filled;
}

void MemifPort::rx_done() noexcept {
  if (Link* link = link_.load(std::memory_order_acquire)) link->rx_done();
}

uint16_t MemifPort::tx(std::span<Packet* const> packets, Drop* drops) noexcept {
  Link* link = link_.load(std::memory_order_acquire);
  if (link == nullptr) {
    for (size_t i = 0; i < packets.size(); ++i) drops[i] = Drop::tx_port_down;
    return 0;
  }
  const auto send = [this, link](uint8_t queue, std::span<Packet* const> some, Drop* refused) {
    return ip_ ? send_ip(*link, queue, some, refused) : link->tx(queue, some, refused);
  };
  const uint16_t sent = link->tx_queues() == 1 ? send(0, packets, drops)
                                               : spread(packets, link->tx_queues(), drops, send);
  report_fault(*link);
  return sent;
}

uint16_t MemifPort::send_ip(Link& link, uint8_t queue, std::span<Packet* const> packets,
                            Drop* drops) noexcept {
  for (Packet* packet : packets) IpFraming::strip(*packet);
  const uint16_t sent = link.tx(queue, packets, drops);
  for (Packet* packet : packets) IpFraming::restore(*packet);
  return sent;
}

void MemifPort::flush() noexcept {
  Link* link = link_.load(std::memory_order_acquire);
  const uint32_t wanted = link == nullptr ? 0 : link->flush();
  if (wanted == 0) return;
  bell_.raise.fetch_or(wanted);
  service_.interrupts_->ring();
}

bool MemifPort::arm() noexcept {
  bell_.armed.store(true);  // before the peer is asked for interrupts
  Link* link = link_.load(std::memory_order_acquire);
  return link != nullptr && link->arm();
}

void MemifPort::disarm() noexcept {
  bell_.armed.store(false);
  if (Link* link = link_.load(std::memory_order_acquire)) link->disarm();
}

}  // namespace weir::dataplane::memif
