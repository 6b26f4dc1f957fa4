// virtio-net header <-> Offload. The header comes from the kernel, but what it says
// was asked for by a pod: parse checks it again against the frame.
#pragma once

#include <cstdint>
#include <optional>

#include "dataplane/core/packet.h"

namespace weir::dataplane {

// struct virtio_net_hdr of virtio 1.2 5.1.6 (the kernel's own header is not C++).
struct VirtioHeader {
  uint8_t flags = 0;
  uint8_t gso_type = 0;
  uint16_t header_length = 0;
  uint16_t gso_size = 0;
  uint16_t checksum_start = 0;
  uint16_t checksum_offset = 0;
};
static_assert(sizeof(VirtioHeader) == 10);

inline constexpr uint8_t kVirtioNeedsChecksum = 1;
inline constexpr uint8_t kVirtioGsoNone = 0;
inline constexpr uint8_t kVirtioGsoTcp4 = 1;
inline constexpr uint8_t kVirtioGsoTcp6 = 4;
inline constexpr uint8_t kVirtioGsoEcn = 0x80;

// Host byte order (tap's default on a little-endian machine). nullopt: a request
// that was not offered.
inline std::optional<Offload> offload_from(const VirtioHeader& header) noexcept {
  Offload offload;
  if ((header.flags & kVirtioNeedsChecksum) != 0) {
    offload.partial_checksum = true;
    offload.checksum_start = header.checksum_start;
    offload.checksum_offset = header.checksum_offset;
  }
  switch (header.gso_type & ~kVirtioGsoEcn) {
    case kVirtioGsoNone: return offload;
    case kVirtioGsoTcp4: offload.gso = Gso::tcp4; break;
    case kVirtioGsoTcp6: offload.gso = Gso::tcp6; break;
    default: return std::nullopt;
  }
  offload.segment_size = header.gso_size;
  return offload;
}

inline VirtioHeader header_from(const Offload& offload, uint16_t l4_offset) noexcept {
  VirtioHeader header;
  if (offload.partial_checksum) {
    header.flags = kVirtioNeedsChecksum;
    header.checksum_start = offload.checksum_start;
    header.checksum_offset = offload.checksum_offset;
  }
  if (offload.gso != Gso::none) {
    header.gso_type = offload.gso == Gso::tcp4 ? kVirtioGsoTcp4 : kVirtioGsoTcp6;
    header.gso_size = offload.segment_size;
    // A hint: the kernel pulls that much into the linear part.
    header.header_length = static_cast<uint16_t>(l4_offset + 20);
  }
  return header;
}

}  // namespace weir::dataplane
