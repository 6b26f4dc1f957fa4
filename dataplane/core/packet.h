// The packet view that stages see: a worker-local snapshot of the frame's first
// bytes, its lengths and metadata, and where the rest of the frame (the body) lies.
//
// Stages decide on the snapshot and rewrite only the snapshot. The body stays in
// the receiving port's memory (a memif region, a tap buffer) until the one copy
// into its destination. That memory may belong to a hostile pod and may change at
// any time: nothing reads it except that copy and code that copies before it looks.
//
// Owner: one worker, for one vector. The body is valid until the receiving port's
// rx_done().
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "dataplane/api/net.h"
#include "dataplane/core/drop.h"

namespace weir::dataplane {

inline constexpr uint16_t kHeadroom = 64;   // bytes for headers put in front
inline constexpr uint16_t kHeadSize = 128;  // snapshot bytes a port fills at most
inline constexpr uint16_t kVectorSize = 64; // packets a worker carries at once
inline constexpr uint16_t kMaxSegments = 16; // body pieces of one packet
inline constexpr uint32_t kMaxFrame = 65535 + 18;  // GSO super-frame with tagged Ethernet header

struct Segment {
  const std::byte* data = nullptr;
  uint32_t length = 0;
};

enum class Gso : uint8_t { none = 0, tcp4 = 1, tcp6 = 2 };

// What the sender left to its NIC (virtio-net's meaning). Bytes from the frame's start.
struct Offload {
  bool partial_checksum = false;  // L4 checksum field holds the pseudo-header sum only
  Gso gso = Gso::none;
  uint16_t segment_size = 0;      // L4 payload bytes of each segment
  uint16_t checksum_start = 0;
  uint16_t checksum_offset = 0;   // from checksum_start

  bool any() const noexcept { return partial_checksum || gso != Gso::none; }
};

// Why an ICMP error is wanted; set by the stage that sends a packet to icmp_error.
struct IcmpCause {
  uint8_t type4 = 0;  // RFC 792
  uint8_t code4 = 0;
  uint8_t type6 = 0;  // RFC 4443
  uint8_t code6 = 0;
  uint16_t mtu = 0;   // next hop's, for too-big only
};

// The fields take one cache line, in an order that lets reset_parse() clear them at once.
struct alignas(64) Packet {
  // Filled by the port on rx.
  Segment* body = nullptr;   // body_count pieces, length - head_length bytes in all
  uint32_t length = 0;       // frame bytes, head and body together
  uint16_t head_offset = kHeadroom;  // of the frame's first byte in storage
  uint16_t head_length = 0;  // frame bytes in storage
  uint16_t in_port = 0;
  uint16_t body_count = 0;
  Offload offload;

  // Filled by stages.
  uint16_t out_port = 0;     // valid from the route stage on
  uint16_t l3_offset = 0;    // bytes from the frame's start
  uint64_t adjacency = 0;    // raw Adjacency word, valid from the route stage on
  uint16_t l4_offset = 0;    // 0 = no L4 header in this packet (a later fragment)
  uint16_t l4_length = 0;    // bytes of L4 header and payload by the IP header
  uint16_t tx_mtu = 0;       // != 0: tx makes IPv4 fragments of at most so many L3 bytes
  Family family = Family::none;
  uint8_t l4_protocol = 0;   // last header of the chain
  Drop drop = Drop::count;   // valid when the verdict is drop
  bool generated = false;    // made by weir: never the cause of an ICMP error
  bool fragment = false;     // any fragment, the first included
  bool translated = false;   // has the addresses that a connection gave it
  bool from_uplink = false;  // came from another host, by an uplink
  IcmpCause icmp;
  uint32_t flow = 0;         // the connection stage's own, from its lookup to its verdict

  alignas(64) std::byte storage[kHeadroom + kHeadSize];

  std::byte* data() noexcept { return storage + head_offset; }
  const std::byte* data() const noexcept { return storage + head_offset; }
  std::span<std::byte> head() noexcept { return {data(), head_length}; }
  std::span<const std::byte> head() const noexcept { return {data(), head_length}; }

  // Header of type T at `offset` bytes of the frame, nullptr when the snapshot is too short.
  template <class T>
  T* header(size_t offset) noexcept {
    static_assert(alignof(T) == 1, "headers are read unaligned");
    return offset + sizeof(T) <= head_length ? reinterpret_cast<T*>(data() + offset) : nullptr;
  }
  template <class T>
  const T* header(size_t offset) const noexcept {
    return const_cast<Packet*>(this)->header<T>(offset);
  }

  // The IP header of a packet that the parse stage has seen whole.
  template <class Ip>
  Ip& l3() noexcept {
    return *reinterpret_cast<Ip*>(data() + l3_offset);
  }
  template <class Ip>
  const Ip& l3() const noexcept {
    return *reinterpret_cast<const Ip*>(data() + l3_offset);
  }

  // Forgets what stages found; the frame and where it came from stay. The parse stage
  // calls it first, so a port need not.
  void reset_parse() noexcept {
    out_port = l3_offset = l4_offset = l4_length = 0;
    adjacency = 0;
    tx_mtu = 0;
    family = Family::none;
    l4_protocol = 0;
    drop = Drop::count;
    generated = fragment = translated = from_uplink = false;
    icmp = {};
  }

  // Cuts the frame after `new_length` bytes when it is longer.
  void trim(uint32_t new_length) noexcept {
    if (new_length >= length) [[likely]]
      return;
    length = new_length;
    if (new_length <= head_length) {
      head_length = static_cast<uint16_t>(new_length);
      body_count = 0;
      return;
    }
    uint32_t left = new_length - head_length;
    for (uint16_t i = 0; i < body_count; ++i) {
      if (body[i].length >= left) {
        body[i].length = left;
        body_count = static_cast<uint16_t>(i + 1);
        return;
      }
      left -= body[i].length;
    }
  }
};

static_assert(offsetof(Packet, storage) == 64);

}  // namespace weir::dataplane
