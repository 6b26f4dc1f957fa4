// What workers do with an uplink.
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>

#include <algorithm>

#include "dataplane/core/frame_copy.h"
#include "dataplane/core/headers.h"
#include "dataplane/ports/uplink/port.h"

namespace weir::dataplane::uplink {

namespace {

constexpr uint32_t kSmallestFrame = 60;  // IEEE 802.3, without the checksum

// Points the packet at the frame: a snapshot of its first bytes, the rest where it is.
// false: more pieces than a packet has.
bool describe(Packet& packet, Segment* segments, const rte_mbuf& frame) noexcept {
  const auto* first = rte_pktmbuf_mtod(&frame, const std::byte*);
  packet.length = frame.pkt_len;
  packet.head_offset = kHeadroom;
  packet.head_length = std::min<uint16_t>(frame.data_len, kHeadSize);
  packet.body = segments;
  packet.body_count = 0;
  packet.offload = {};
  std::memcpy(packet.data(), first, packet.head_length);
  uint16_t skip = packet.head_length;
  for (const rte_mbuf* piece = &frame; piece != nullptr; piece = piece->next, skip = 0) {
    if (piece->data_len == skip) continue;
    if (packet.body_count == kMaxSegments) return false;
    segments[packet.body_count++] = {rte_pktmbuf_mtod(piece, const std::byte*) + skip,
                                     static_cast<uint32_t>(piece->data_len - skip)};
  }
  return true;
}

}  // namespace

// Workers are lcores 1, 2, … in the order of their numbers. A thread that EAL does not know
// (a test's) stands for the first.
uint16_t UplinkPort::queue_of_caller(uint16_t queues) const noexcept {
  const unsigned lcore = rte_lcore_id();
  if (queues == 1 || lcore == LCORE_ID_ANY || lcore == 0) return 0;
  return static_cast<uint16_t>(std::min<unsigned>(lcore - 1, queues - 1U));
}

Drop UplinkPort::accept(const rte_mbuf& frame) const noexcept {
  if (frame.data_len < sizeof(EthernetHeader)) return Drop::parse_runt;
  const auto* ethernet = rte_pktmbuf_mtod(&frame, const EthernetHeader*);
  if (mac_bits(ethernet->destination) != mac_bits_ && !ethernet->destination.is_multicast()) {
    return Drop::rx_other_mac;
  }
  return mac_bits(ethernet->source) == mac_bits_ ? Drop::rx_own_mac : Drop::count;
}

uint16_t UplinkPort::rx(const RxBatch& batch, DropSink& drops) noexcept {
  const uint16_t index = queue_of_caller(device_->rx_queues());
  Queue& queue = queues_[index];
  std::array<rte_mbuf*, kVectorSize> frames;
  const size_t room = std::min(batch.packets.size(), frames.size() - queue.held_count);
  const uint16_t got = rte_eth_rx_burst(device_->id(), index, frames.data(), static_cast<uint16_t>(room));
  uint16_t filled = 0;
  for (uint16_t i = 0; i < got; ++i) {
    Packet& packet = batch.packets[filled];
    Drop refused = accept(*frames[i]);
    if (refused == Drop::count && !describe(packet, batch.segments.data() + filled * kMaxSegments, *frames[i])) {
      refused = Drop::rx_truncated;
    }
    if (refused != Drop::count) [[unlikely]] {
      drops.add(refused);
      rte_pktmbuf_free(frames[i]);
      continue;
    }
    MacAddress& destination = packet.header<EthernetHeader>(0)->destination;
    if (!destination.is_multicast()) destination = kGatewayMac;
    queue.held[queue.held_count++] = frames[i];
    ++filled;
  }
  return filled;
}

void UplinkPort::rx_done() noexcept {
  Queue& queue = queues_[queue_of_caller(device_->rx_queues())];
  rte_pktmbuf_free_bulk(queue.held.data(), queue.held_count);
  queue.held_count = 0;
}

// The frame in a buffer of the device's, from its own MAC; nullptr and why when it cannot be.
rte_mbuf* UplinkPort::to_mbuf(const Packet& packet, Drop& drop) noexcept {
  const uint32_t length = std::max(packet.length, kSmallestFrame);
  rte_mbuf* frame = rte_pktmbuf_alloc(device_->pool());
  if (frame == nullptr) {
    drop = Drop::tx_ring_full;
    return nullptr;
  }
  if (length > rte_pktmbuf_tailroom(frame)) {
    rte_pktmbuf_free(frame);
    drop = Drop::tx_too_long;
    return nullptr;
  }
  auto* data = reinterpret_cast<std::byte*>(rte_pktmbuf_append(frame, static_cast<uint16_t>(length)));
  copy_frame(data, packet);
  std::memset(data + packet.length, 0, length - packet.length);
  reinterpret_cast<EthernetHeader*>(data)->source = device_->mac();
  return frame;
}

uint16_t UplinkPort::tx(std::span<Packet* const> packets, Drop* drops) noexcept {
  if (!up_.load(std::memory_order_relaxed)) {  // relaxed: a flag alone
    std::fill_n(drops, packets.size(), Drop::tx_port_down);
    return 0;
  }
  std::array<rte_mbuf*, kVectorSize> frames;
  std::array<uint8_t, kVectorSize> index;
  uint16_t count = 0;
  for (size_t i = 0; i < packets.size(); ++i) {
    frames[count] = to_mbuf(*packets[i], drops[i]);
    index[count] = static_cast<uint8_t>(i);
    count = static_cast<uint16_t>(count + (frames[count] != nullptr));
  }
  const uint16_t sent = rte_eth_tx_burst(device_->id(), queue_of_caller(device_->tx_queues()), frames.data(), count);
  for (uint16_t i = sent; i < count; ++i) {
    rte_pktmbuf_free(frames[i]);
    drops[index[i]] = Drop::tx_ring_full;
  }
  return sent;
}

}  // namespace weir::dataplane::uplink
