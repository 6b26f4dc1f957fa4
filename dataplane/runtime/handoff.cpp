#include "dataplane/runtime/handoff.h"

#include <algorithm>
#include <cstring>

#include "dataplane/core/frame_copy.h"

namespace weir::dataplane {

namespace {

constexpr size_t kAlign = 64;

size_t padded(size_t bytes) noexcept { return (bytes + kAlign - 1) / kAlign * kAlign; }

}  // namespace

Handoff::Handoff(size_t bytes) : memory_(new std::byte[bytes]), mask_(bytes - 1) {}

bool Handoff::push(const Packet& packet, uint64_t port_key) noexcept {
  const size_t size = padded(sizeof(Record) + packet.length);
  const size_t capacity = mask_ + 1;
  const size_t to_end = capacity - (pending_head_ & mask_);
  const size_t skip = size > to_end ? to_end : 0;
  if (pending_head_ + skip + size - known_tail_ > capacity) {
    known_tail_ = tail_.load(std::memory_order_acquire);  // the consumer is done with what is before it
    if (pending_head_ + skip + size - known_tail_ > capacity) return false;
  }
  if (skip != 0) {
    at(pending_head_)->bytes = 0;
    pending_head_ += skip;
  }
  Record* record = at(pending_head_);
  record->bytes = static_cast<uint32_t>(size);
  record->length = packet.length;
  record->port_key = port_key;
  record->in_port = packet.in_port;
  record->out_port = packet.out_port;
  record->l3_offset = packet.l3_offset;
  record->l4_offset = packet.l4_offset;
  record->l4_length = packet.l4_length;
  record->tx_mtu = packet.tx_mtu;
  record->family = packet.family;
  record->l4_protocol = packet.l4_protocol;
  record->fragment = packet.fragment;
  record->generated = packet.generated;
  record->translated = packet.translated;
  record->offload = packet.offload;
  copy_frame(reinterpret_cast<std::byte*>(record + 1), packet);
  pending_head_ += size;
  return true;
}

void Handoff::publish() noexcept {
  head_.store(pending_head_, std::memory_order_release);  // the records before it are written
}

bool Handoff::peek(Packet& packet, Segment& segment, uint64_t& port_key) noexcept {
  if (pending_tail_ == head_.load(std::memory_order_acquire)) return false;  // pairs with publish
  if (at(pending_tail_)->bytes == 0) pending_tail_ += mask_ + 1 - (pending_tail_ & mask_);
  const Record& record = *at(pending_tail_);
  pending_tail_ += record.bytes;
  port_key = record.port_key;
  packet = Packet{};
  packet.length = record.length;
  packet.head_length = static_cast<uint16_t>(std::min<uint32_t>(record.length, kHeadSize));
  packet.in_port = record.in_port;
  packet.out_port = record.out_port;
  packet.l3_offset = record.l3_offset;
  packet.l4_offset = record.l4_offset;
  packet.l4_length = record.l4_length;
  packet.tx_mtu = record.tx_mtu;
  packet.family = record.family;
  packet.l4_protocol = record.l4_protocol;
  packet.fragment = record.fragment;
  packet.generated = record.generated;
  packet.translated = record.translated;
  packet.offload = record.offload;
  const auto* frame = reinterpret_cast<const std::byte*>(&record + 1);
  std::memcpy(packet.data(), frame, packet.head_length);
  segment = {frame + packet.head_length, record.length - packet.head_length};
  packet.body = &segment;
  packet.body_count = segment.length > 0 ? 1 : 0;
  return true;
}

void Handoff::release() noexcept {
  tail_.store(pending_tail_, std::memory_order_release);  // the producer may overwrite what is before it
}

bool Handoff::empty() const noexcept {
  return head_.load(std::memory_order_acquire) == tail_.load(std::memory_order_relaxed);
}

}  // namespace weir::dataplane
