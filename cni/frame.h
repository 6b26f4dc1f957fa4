// Framing on weir-control's socket (cni.sock, SOCK_STREAM): a header of 12 bytes,
// numbers little-endian, then a JSON body.
//   0  4  magic "WEIR"
//   4  2  version, 1
//   6  2  kind: 1 request, 2 response
//   8  4  body length in bytes, at most kMaxFrameBody
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/api/error.h"

namespace weir::cni {

inline constexpr size_t kFrameHeaderSize = 12;
inline constexpr uint32_t kMaxFrameBody = 9u << 20;  // bytes
inline constexpr uint16_t kFrameVersion = 1;

enum class FrameKind : uint16_t { request = 1, response = 2 };

using FrameHeader = std::array<uint8_t, kFrameHeaderSize>;

// `length` must not exceed kMaxFrameBody.
FrameHeader encode_frame_header(FrameKind kind, uint32_t length) noexcept;

// The body length. Errors: invalid_argument (not our protocol, or the other kind),
// version, limit (body too large).
weir::Result<uint32_t> decode_frame_header(std::span<const uint8_t, kFrameHeaderSize> bytes,
                                           FrameKind expected);

}  // namespace weir::cni
