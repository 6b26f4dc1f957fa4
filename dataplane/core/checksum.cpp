#include "dataplane/core/checksum.h"

#include <algorithm>

namespace weir::dataplane {
namespace {

// A sum over pieces of any length: one at an odd offset counts byte-swapped (RFC 1071 2 B).
class PieceSum {
 public:
  void add(const std::byte* data, size_t length) noexcept {
    const uint64_t part = add_bytes(0, data, length);
    sum_ += odd_ ? __builtin_bswap16(fold(part)) : part;
    odd_ ^= (length & 1) != 0;
  }
  uint64_t value() const noexcept { return sum_; }

 private:
  uint64_t sum_ = 0;
  bool odd_ = false;
};

}  // namespace

uint64_t sum_frame(const Packet& packet, size_t from, size_t to) noexcept {
  PieceSum sum;
  if (from < packet.head_length) {
    const size_t end = std::min<size_t>(to, packet.head_length);
    sum.add(packet.data() + from, end - from);
    from = end;
  }
  size_t at = packet.head_length;
  for (uint16_t i = 0; i < packet.body_count && from < to; ++i) {
    const Segment& piece = packet.body[i];
    const size_t end = std::min<size_t>(to, at + piece.length);
    if (from < end) {
      sum.add(piece.data + (from - at), end - from);
      from = end;
    }
    at += piece.length;
  }
  return sum.value();
}

}  // namespace weir::dataplane
