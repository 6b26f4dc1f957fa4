// memif protocol 2.0 as it lies on the control socket (SOCK_SEQPACKET, one 128-byte
// message a packet) and in shared memory. Host byte order, packed.
// Source: VPP src/plugins/memif/memif.h, DPDK doc/guides/nics/memif.rst.
//
// The pod is the client (slave): it makes the shared memory and both kinds of rings.
//   S2M ring (client to server): the client fills buffers and moves head, we read
//   them and move tail.
//   M2S ring (server to client): the client offers empty buffers by moving head, we
//   fill them and move tail.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace weir::dataplane::memif {

inline constexpr uint32_t kCookie = 0x3e31f20;
inline constexpr uint16_t kVersion = 0x0200;  // major << 8 | minor

enum class MessageType : uint16_t {
  none = 0,
  ack = 1,         // both ways: answers what has no answer of its own
  hello = 2,       // from the server, first
  init = 3,        // from the client
  add_region = 4,  // from the client, with the region's fd
  add_ring = 5,    // from the client, with the ring's eventfd
  connect = 6,     // from the client
  connected = 7,   // from the server
  disconnect = 8,  // both ways
};

enum class Mode : uint8_t { ethernet = 0, ip = 1, punt_inject = 2 };

using Name = std::array<char, 32>;  // zero-terminated unless full

inline constexpr uint16_t kRingToServer = 1;  // AddRing::flags: an S2M ring

#pragma pack(push, 1)
struct Hello {
  Name name;
  uint16_t min_version;
  uint16_t max_version;
  uint16_t max_region;  // highest index, here and in the two below
  uint16_t max_m2s_ring;
  uint16_t max_s2m_ring;
  uint8_t max_log2_ring;
};

struct Init {
  uint16_t version;
  uint32_t id;
  Mode mode;
  std::array<char, 24> secret;
  Name name;
};

struct AddRegion {
  uint16_t index;
  uint64_t size;  // bytes
};

struct AddRing {
  uint16_t flags;
  uint16_t index;
  uint16_t region;
  uint32_t offset;  // bytes from the region's start
  uint8_t log2_size;
  uint16_t private_header_size;
};

struct Connect {  // and connected
  Name interface;
};

struct Disconnect {
  uint32_t code;
  std::array<char, 96> text;
};

struct Message {
  MessageType type;
  union {
    Hello hello;
    Init init;
    AddRegion add_region;
    AddRing add_ring;
    Connect connect;
    Disconnect disconnect;
    std::array<std::byte, 126> bytes;
  };
};
#pragma pack(pop)

static_assert(sizeof(Message) == 128 && std::is_trivially_copyable_v<Message>);
static_assert(sizeof(Hello) == 43 && sizeof(Init) == 63 && sizeof(AddRegion) == 10);
static_assert(sizeof(AddRing) == 13 && sizeof(Connect) == 32 && sizeof(Disconnect) == 100);

inline constexpr uint16_t kDescriptorNext = 1;  // the frame goes on in the next descriptor

struct Descriptor {
  uint16_t flags;
  uint16_t region;
  uint32_t length;  // bytes; in an offered buffer its capacity
  uint32_t offset;  // bytes from the region's start
  uint32_t metadata;
};

// A descriptor in shared memory: taken in and put out by whole words, so that what was
// checked is what is used.
struct alignas(16) DescriptorSlot {
  uint64_t flags_region_length;
  uint32_t offset;
  uint32_t metadata;  // not used
};

inline constexpr uint16_t kRingMaskInterrupt = 1;  // the reader wants no interrupts

struct RingHeader {
  alignas(64) uint32_t cookie;
  uint16_t flags;             // written by the ring's reader
  uint16_t head;              // written by the client
  alignas(64) uint16_t tail;  // written by the server
};

static_assert(sizeof(Descriptor) == 16 && sizeof(DescriptorSlot) == 16);
static_assert(sizeof(RingHeader) == 128 && offsetof(RingHeader, flags) == 4);
static_assert(offsetof(RingHeader, head) == 6 && offsetof(RingHeader, tail) == 64);

inline constexpr uint8_t kMinLog2Ring = 5;
inline constexpr uint8_t kMaxLog2Ring = 14;

constexpr uint64_t ring_bytes(uint8_t log2_size) noexcept {
  return sizeof(RingHeader) + (sizeof(DescriptorSlot) << log2_size);
}

}  // namespace weir::dataplane::memif
