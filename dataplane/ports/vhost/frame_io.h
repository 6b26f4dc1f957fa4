// Frames between packets and chains of descriptors. Bodies are never looked at, only copied.
#pragma once

#include <algorithm>
#include <cstring>
#include <optional>

#include "dataplane/core/frame_copy.h"
#include "dataplane/core/packet.h"
#include "dataplane/ports/kernel/virtio_header.h"
#include "dataplane/ports/vhost/chain.h"

namespace weir::dataplane::vhost {

// Header in front of each frame; short of its last field on legacy devices.
struct FrameHeader {
  VirtioHeader net;
  uint16_t buffers = 0;  // chains that the frame fills; meaningless in frames from the driver
};
static_assert(sizeof(FrameHeader) == kFullHeader && sizeof(VirtioHeader) == kLegacyHeader);

// Reads a chain's bytes in order.
class ChainReader {
 public:
  explicit ChainReader(const Chain& chain) noexcept
      : piece_(chain.pieces.data()), end_(piece_ + chain.count) {}

  void copy(void* to, uint32_t length) noexcept {
    auto* target = static_cast<std::byte*>(to);
    while (length > 0) {
      const uint32_t part = std::min(length, piece_->length - done_);
      std::memcpy(target, piece_->data + done_, part);
      target += part;
      length -= part;
      skip(part);
    }
  }
  // What is left, as segments; false when there are too many.
  bool rest(Packet& packet, Segment* segments) noexcept {
    packet.body = segments;
    packet.body_count = 0;
    for (; piece_ != end_; ++piece_, done_ = 0) {
      if (packet.body_count == kMaxSegments) return false;
      segments[packet.body_count++] = {piece_->data + done_, piece_->length - done_};
    }
    return true;
  }

 private:
  void skip(uint32_t length) noexcept {
    done_ += length;
    if (done_ < piece_->length) return;
    ++piece_;
    done_ = 0;
  }

  const Piece* piece_;
  const Piece* end_;
  uint32_t done_ = 0;  // bytes of the piece that were read
};

// Header and frame one behind the other, in one piece: what drivers mostly send.
inline void read_whole(const Piece& piece, uint16_t header_bytes, VirtioHeader& header,
                       Packet& packet, Segment* segments) noexcept {
  std::memcpy(&header, piece.data, sizeof header);
  const std::byte* const data = piece.data + header_bytes;
  const uint32_t length = piece.length - header_bytes;
  // May take more than the frame has: a region has kReadSlack behind it.
  static_assert(kHeadSize == 128 && kHeadSize <= kReadSlack);
  std::memcpy(packet.storage + kHeadroom, data, 64);
  if (length > 64) std::memcpy(packet.storage + kHeadroom + 64, data + 64, 64);
  packet.body = segments;
  packet.body_count = length > kHeadSize;
  if (length > kHeadSize) *segments = {data + kHeadSize, length - kHeadSize};
}

// Fills the packet from a chain of header_bytes + 1 .. header_bytes + kMaxFrame bytes. Returns
// Drop::count, or why the frame is refused.
inline Drop read_frame(const Chain& chain, uint16_t header_bytes, Packet& packet,
                       Segment* segments) noexcept {
  packet.length = static_cast<uint32_t>(chain.bytes) - header_bytes;
  packet.head_offset = kHeadroom;
  packet.head_length = static_cast<uint16_t>(std::min<uint32_t>(packet.length, kHeadSize));
  VirtioHeader header;
  if (chain.count == 1) [[likely]] {
    read_whole(chain.pieces[0], header_bytes, header, packet, segments);
  } else {
    FrameHeader whole;
    ChainReader reader(chain);
    reader.copy(&whole, header_bytes);
    header = whole.net;
    reader.copy(packet.storage + kHeadroom, packet.head_length);
    if (!reader.rest(packet, segments)) return Drop::rx_truncated;
  }
  const std::optional<Offload> offload = offload_from(header);
  if (!offload) return Drop::rx_offload;
  packet.offload = *offload;
  return Drop::count;
}

// Reads a header and a packet's bytes in order.
class FrameSource {
 public:
  FrameSource(const FrameHeader& header, uint16_t header_bytes, const Packet& packet) noexcept
      : packet_(packet),
        data_(reinterpret_cast<const std::byte*>(&header)),
        here_(header_bytes),
        left_(header_bytes + packet.length) {}

  uint32_t left() const noexcept { return left_; }

  // Into a chain, as far as both go. Returns how many bytes went.
  uint32_t fill(const Chain& chain) noexcept {
    const uint32_t before = left_;
    for (uint16_t i = 0; i < chain.count && left_ > 0; ++i)
      copy(chain.pieces[i].data, std::min(left_, chain.pieces[i].length));
    return before - left_;
  }

 private:
  void copy(std::byte* to, uint32_t length) noexcept {
    left_ -= length;
    while (length > 0) {
      if (here_ == 0) next();
      const uint32_t part = std::min(length, here_);
      copy_body(to, data_, part);
      to += part;
      data_ += part;
      here_ -= part;
      length -= part;
    }
  }
  void next() noexcept {
    if (!in_packet_) {
      in_packet_ = true;
      data_ = packet_.data();
      here_ = packet_.head_length;
    } else {
      data_ = packet_.body[body_].data;
      here_ = packet_.body[body_++].length;
    }
  }

  const Packet& packet_;
  const std::byte* data_;
  uint32_t here_;  // bytes left of the current piece
  uint32_t left_;  // bytes left in all
  uint16_t body_ = 0;
  bool in_packet_ = false;
};

}  // namespace weir::dataplane::vhost
