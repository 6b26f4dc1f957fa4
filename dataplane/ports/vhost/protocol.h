// vhost-user as it lies on the socket (SOCK_STREAM) and virtqueues as they lie in the
// front-end's memory. Little-endian host byte order, which virtio 1 and legacy drivers share.
// Sources: vhost-user specification (QEMU docs/interop/vhost-user.rst), virtio 1.2 sections
// 2.7 (split rings), 2.8 (packed rings) and 5.1 (network device).
//
// The pod is the front-end: the memory and the rings are its own. Vring 2p of queue pair p is
// the pod's receive ring (we fill its buffers), vring 2p + 1 its transmit ring.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace weir::dataplane::vhost {

enum class Request : uint32_t {
  get_features = 1,
  set_features = 2,
  set_owner = 3,
  reset_owner = 4,
  set_mem_table = 5,
  set_vring_num = 8,
  set_vring_addr = 9,
  set_vring_base = 10,
  get_vring_base = 11,
  set_vring_kick = 12,
  set_vring_call = 13,
  set_vring_err = 14,
  get_protocol_features = 15,
  set_protocol_features = 16,
  get_queue_num = 17,
  set_vring_enable = 18,
  send_rarp = 19,
  net_set_mtu = 20,
};

inline constexpr uint32_t kVersion = 1;         // MessageHeader::flags, bits 0 and 1
inline constexpr uint32_t kVersionMask = 3;
inline constexpr uint32_t kFlagReply = 1 << 2;
inline constexpr uint32_t kFlagNeedReply = 1 << 3;

struct MessageHeader {
  Request request;
  uint32_t flags;
  uint32_t size;  // bytes of payload
};

struct VringState {
  uint32_t index;
  uint32_t num;
};

struct VringAddress {
  uint32_t index;
  uint32_t flags;
  uint64_t descriptors;  // addresses in the front-end's process, as all below
  uint64_t device;       // used ring, or the device's event suppression
  uint64_t driver;       // available ring, or the driver's event suppression
  uint64_t log;
};

struct MemoryRegion {
  uint64_t guest;   // address that descriptors use
  uint64_t size;    // bytes
  uint64_t user;    // address in the front-end's process
  uint64_t offset;  // of the region in its file
};

inline constexpr size_t kMaxRegions = 8;

struct MemoryTable {
  uint32_t count;
  uint32_t padding;
  std::array<MemoryRegion, kMaxRegions> regions;
};

struct Message {
  MessageHeader header;
  union {
    uint64_t number;
    VringState state;
    VringAddress address;
    MemoryTable memory;
    std::array<std::byte, sizeof(MemoryTable)> bytes;
  };
};

static_assert(sizeof(MessageHeader) == 12 && sizeof(VringAddress) == 40);
static_assert(sizeof(MemoryTable) == 264 && std::is_trivially_copyable_v<Message>);

inline constexpr uint64_t kVringIndexMask = 0xff;  // in set_vring_kick and its like
inline constexpr uint64_t kVringNoFd = 0x100;

inline constexpr uint64_t kProtocolMultiqueue = 1ULL << 0;
inline constexpr uint64_t kProtocolReplyAck = 1ULL << 3;
inline constexpr uint64_t kProtocolMtu = 1ULL << 4;
inline constexpr uint64_t kProtocolFeatures = kProtocolMultiqueue | kProtocolReplyAck | kProtocolMtu;

// Device is weir, driver ("guest") the pod.
inline constexpr uint64_t kNetDeviceChecksum = 1ULL << 0;
inline constexpr uint64_t kNetGuestChecksum = 1ULL << 1;
inline constexpr uint64_t kNetMtu = 1ULL << 3;
inline constexpr uint64_t kNetGuestTso4 = 1ULL << 7;
inline constexpr uint64_t kNetGuestTso6 = 1ULL << 8;
inline constexpr uint64_t kNetGuestEcn = 1ULL << 9;
inline constexpr uint64_t kNetDeviceTso4 = 1ULL << 11;
inline constexpr uint64_t kNetDeviceTso6 = 1ULL << 12;
inline constexpr uint64_t kNetDeviceEcn = 1ULL << 13;
inline constexpr uint64_t kNetMergeable = 1ULL << 15;
inline constexpr uint64_t kNetControl = 1ULL << 17;  // a ring of the front-end's own
inline constexpr uint64_t kNetMultiqueue = 1ULL << 22;
inline constexpr uint64_t kAnyLayout = 1ULL << 27;
inline constexpr uint64_t kIndirect = 1ULL << 28;
inline constexpr uint64_t kVhostProtocol = 1ULL << 30;
inline constexpr uint64_t kVersion1 = 1ULL << 32;
inline constexpr uint64_t kPackedRing = 1ULL << 34;

inline constexpr uint64_t kFeatures =
    kNetDeviceChecksum | kNetGuestChecksum | kNetMtu | kNetGuestTso4 | kNetGuestTso6 |
    kNetGuestEcn | kNetDeviceTso4 | kNetDeviceTso6 | kNetDeviceEcn | kNetMergeable |
    kNetControl | kNetMultiqueue | kAnyLayout | kIndirect | kVhostProtocol | kVersion1 | kPackedRing;

// What a driver must take for frames with every Offload to be sent to it.
inline constexpr uint64_t kGuestOffload = kNetGuestChecksum | kNetGuestTso4 | kNetGuestTso6;

inline constexpr uint16_t kDescriptorNext = 1;
inline constexpr uint16_t kDescriptorWrite = 2;  // for the device to write
inline constexpr uint16_t kDescriptorIndirect = 4;
inline constexpr uint16_t kDescriptorAvailable = 1 << 7;  // packed rings: equals the driver's wrap
inline constexpr uint16_t kDescriptorUsed = 1 << 15;      // packed rings: equals the device's wrap

inline constexpr uint16_t kAvailNoInterrupt = 1;  // split: the driver polls
inline constexpr uint16_t kUsedNoNotify = 1;      // split: the device polls
inline constexpr uint16_t kEventsEnable = 0;      // packed: flags of an EventSuppression
inline constexpr uint16_t kEventsDisable = 1;

struct alignas(16) SplitDescriptor {
  uint64_t address;  // guest address
  uint32_t length;
  uint16_t flags;
  uint16_t next;
};

struct alignas(16) PackedDescriptor {
  uint64_t address;
  uint32_t length;
  uint16_t id;
  uint16_t flags;
};

// How a descriptor is read and written: by words, each once. Indirect tables have no better
// alignment than these.
struct alignas(8) DescriptorSlot {
  uint64_t address;
  uint64_t rest;
};

struct alignas(4) EventSuppression {
  uint16_t offset_wrap;
  uint16_t flags;
};

struct alignas(4) RingHead {  // of a split ring's available and used ring
  uint16_t flags;
  uint16_t index;
};

struct UsedElement {
  uint32_t id;
  uint32_t length;
};

static_assert(sizeof(SplitDescriptor) == 16 && sizeof(PackedDescriptor) == 16);
static_assert(sizeof(DescriptorSlot) == 16 && sizeof(UsedElement) == 8);

inline constexpr uint32_t kMaxRing = 32768;

// struct virtio_net_hdr: 12 bytes with the number of buffers, 10 without.
inline constexpr uint16_t kFullHeader = 12;
inline constexpr uint16_t kLegacyHeader = 10;
constexpr uint16_t header_size(uint64_t features) noexcept {
  return (features & (kNetMergeable | kVersion1)) != 0 ? kFullHeader : kLegacyHeader;
}

}  // namespace weir::dataplane::vhost
