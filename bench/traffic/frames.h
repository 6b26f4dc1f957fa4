// The frames that weir-bench sends: UDP over IPv4 or IPv6, all within the first 64 or 78
// bytes of the frame. Frame n goes to target n % targets and belongs to flow n % flows.
// Frame sizes count the four bytes of Ethernet's checksum, which no memif carries.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "dataplane/core/checksum.h"

namespace weir::bench {

struct FrameSpec {
  MacAddress source_mac;
  MacAddress gateway_mac = kGatewayMac;
  IpAddress source;  // its family is the frames'
  std::vector<IpAddress> targets;
  IpAddress delivered;  // destination on arrival, when the device translates it; else none
  uint32_t flows = 1;  // up to 65536 source ports, then the next destination port
};

inline constexpr uint32_t kEthernetFcs = 4;

// Written into each frame that is touched, behind the UDP header.
struct Stamp {
  uint32_t number;
  uint64_t tsc;
} __attribute__((packed));

// Threads: one.
class Frames {
 public:
  explicit Frames(const FrameSpec& spec);

  // The smallest frame that holds headers and stamp, without Ethernet's checksum.
  uint32_t smallest() const noexcept;
  // A whole frame of `length` bytes.
  void fill(std::byte* frame, uint32_t length) const;
  // Makes it the next frame: destination, ports, checksum, stamp. One or two cache lines.
  void touch(std::byte* frame, uint32_t length, uint64_t tsc) noexcept;
  // nullopt: not a frame that touch() made, however often its TTL was lowered since.
  std::optional<Stamp> check(const std::byte* frame, uint32_t length) const noexcept;

 private:
  struct Target4 {
    uint32_t wire;
    uint32_t sum;  // of its two words
  };

  std::byte* l4(std::byte* frame) const noexcept { return frame + l4_offset_; }
  void set_destination(std::byte* frame, uint32_t length) noexcept;
  bool is_destination(const std::byte* frame, uint32_t number) const noexcept;

  FrameSpec spec_;
  bool ip6_;
  uint32_t l4_offset_;
  std::vector<Target4> targets4_;
  uint64_t header_sum_ = 0;  // IPv4 header without length, destination and checksum
  uint32_t number_ = 0;
  uint32_t target_ = 0;
  uint32_t flow_ = 0;
};

}  // namespace weir::bench
