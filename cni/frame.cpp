#include "cni/frame.h"

#include <algorithm>
#include <cassert>

namespace weir::cni {
namespace {

constexpr std::array<uint8_t, 4> kMagic{'W', 'E', 'I', 'R'};

uint32_t read_little(const uint8_t* bytes, size_t count) {
  uint32_t value = 0;
  for (size_t i = 0; i < count; ++i) value |= uint32_t{bytes[i]} << (8 * i);
  return value;
}

void write_little(uint8_t* bytes, uint32_t value, size_t count) {
  for (size_t i = 0; i < count; ++i) bytes[i] = static_cast<uint8_t>(value >> (8 * i));
}

}  // namespace

FrameHeader encode_frame_header(FrameKind kind, uint32_t length) noexcept {
  assert(length <= kMaxFrameBody);
  FrameHeader header{};
  std::ranges::copy(kMagic, header.begin());
  write_little(header.data() + 4, kFrameVersion, 2);
  write_little(header.data() + 6, static_cast<uint32_t>(kind), 2);
  write_little(header.data() + 8, length, 4);
  return header;
}

weir::Result<uint32_t> decode_frame_header(std::span<const uint8_t, kFrameHeaderSize> bytes,
                                           FrameKind expected) {
  if (!std::ranges::equal(bytes.first<4>(), kMagic)) {
    return weir::Error{ErrorCode::invalid_argument, "the peer does not speak weir's protocol"};
  }
  const uint32_t version = read_little(bytes.data() + 4, 2);
  if (version != kFrameVersion) {
    return weir::Error{ErrorCode::version, "the peer speaks version " + std::to_string(version) +
                                               " of the protocol, not 1; restart weir-control "
                                               "and install matching programs"};
  }
  if (read_little(bytes.data() + 6, 2) != static_cast<uint32_t>(expected)) {
    return weir::Error{ErrorCode::invalid_argument, "the peer sent a frame of the wrong kind"};
  }
  const uint32_t length = read_little(bytes.data() + 8, 4);
  if (length > kMaxFrameBody) {
    return weir::Error{ErrorCode::limit,
                       "the peer announces " + std::to_string(length) + " bytes, more than 9 MiB"};
  }
  return length;
}

}  // namespace weir::cni
