// Protocol headers as they lie on the wire. Alignment 1, numbers in network order
// behind Be16/Be32; read them only through Packet::header<T>().
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "dataplane/api/net.h"

namespace weir::dataplane {

static_assert(std::endian::native == std::endian::little, "weir runs on little-endian machines");

struct Be16 {
  std::array<uint8_t, 2> raw;
  uint16_t wire() const noexcept { return std::bit_cast<uint16_t>(raw); }
  uint16_t host() const noexcept { return __builtin_bswap16(wire()); }
  void set(uint16_t host_order) noexcept { set_wire(__builtin_bswap16(host_order)); }
  void set_wire(uint16_t value) noexcept { raw = std::bit_cast<std::array<uint8_t, 2>>(value); }
};

struct Be32 {
  std::array<uint8_t, 4> raw;
  uint32_t wire() const noexcept { return std::bit_cast<uint32_t>(raw); }
  uint32_t host() const noexcept { return __builtin_bswap32(wire()); }
  void set(uint32_t host_order) noexcept { set_wire(__builtin_bswap32(host_order)); }
  void set_wire(uint32_t value) noexcept { raw = std::bit_cast<std::array<uint8_t, 4>>(value); }
};

using Ip6Bytes = std::array<uint8_t, 16>;

// Unaligned loads and stores that become one instruction.
template <class T>
T load(const void* from) noexcept {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
template <class T>
void store(void* to, T value) noexcept {
  std::memcpy(to, &value, sizeof value);
}

// A MAC address in the lower 48 bits, as Adjacency::pack() lays it out.
inline uint64_t mac_bits(const MacAddress& mac) noexcept {
  return load<uint32_t>(mac.bytes.data()) |
         static_cast<uint64_t>(load<uint16_t>(mac.bytes.data() + 4)) << 32;
}
inline void store_mac(MacAddress& mac, uint64_t bits) noexcept {
  store(mac.bytes.data(), static_cast<uint32_t>(bits));
  store(mac.bytes.data() + 4, static_cast<uint16_t>(bits >> 32));
}
inline constexpr uint64_t kGatewayMacBits = 0x0172'6965'7702;

inline constexpr uint16_t kEtherIp4 = 0x0800;
inline constexpr uint16_t kEtherArp = 0x0806;
inline constexpr uint16_t kEtherVlan = 0x8100;
inline constexpr uint16_t kEtherQinQ = 0x88a8;
inline constexpr uint16_t kEtherIp6 = 0x86dd;

struct EthernetHeader {  // IEEE 802.3
  MacAddress destination;
  MacAddress source;
  Be16 ethertype;
};

struct VlanHeader {  // IEEE 802.1Q: what follows the ethertype 0x8100
  Be16 tag;          // PCP:3 DEI:1 VID:12
  Be16 ethertype;
};

struct ArpPacket {  // RFC 826, Ethernet and IPv4
  Be16 hardware;    // 1
  Be16 protocol;    // 0x0800
  uint8_t hardware_length;  // 6
  uint8_t protocol_length;  // 4
  Be16 operation;   // 1 request, 2 reply
  MacAddress sender_mac;
  Be32 sender_ip;
  MacAddress target_mac;
  Be32 target_ip;
};

struct Ip4Header {  // RFC 791
  uint8_t version_ihl;
  uint8_t tos;
  Be16 total_length;
  Be16 identification;
  Be16 fragment;    // flags:3 offset:13 in 8-byte units
  uint8_t ttl;
  uint8_t protocol;
  Be16 checksum;
  Be32 source;
  Be32 destination;

  size_t header_length() const noexcept { return (version_ihl & 0x0fU) * 4U; }
};
inline constexpr uint16_t kIp4DontFragment = 0x4000;
inline constexpr uint16_t kIp4MoreFragments = 0x2000;
inline constexpr uint16_t kIp4OffsetMask = 0x1fff;

struct Ip6Header {  // RFC 8200
  Be32 version_class_flow;
  Be16 payload_length;
  uint8_t next_header;
  uint8_t hop_limit;
  Ip6Bytes source;
  Ip6Bytes destination;
};

struct Ip6FragmentHeader {  // RFC 8200 4.5
  uint8_t next_header;
  uint8_t reserved;
  Be16 offset;      // offset:13 in 8-byte units, reserved:2, M:1
  Be32 identification;
};

inline constexpr uint16_t kIp6OffsetMask = 0xfff8;  // of Ip6FragmentHeader::offset: bytes
inline constexpr uint16_t kIp6MoreFragments = 1;

struct Ip6ExtensionHeader {  // RFC 8200 4.2: how each begins
  uint8_t next_header;
  uint8_t length;   // in 8-byte units, the first not counted; 4-byte units for AH
  uint8_t type;     // routing header only
  uint8_t rest;
};

inline constexpr uint8_t kProtoHopByHop = 0;
inline constexpr uint8_t kProtoIcmp4 = 1;
inline constexpr uint8_t kProtoTcp = 6;
inline constexpr uint8_t kProtoUdp = 17;
inline constexpr uint8_t kProtoRouting = 43;
inline constexpr uint8_t kProtoFragment = 44;
inline constexpr uint8_t kProtoAuthentication = 51;
inline constexpr uint8_t kProtoIcmp6 = 58;
inline constexpr uint8_t kProtoNone = 59;
inline constexpr uint8_t kProtoDestinationOptions = 60;
inline constexpr uint8_t kProtoSctp = 132;
inline constexpr size_t kSctpHeaderLength = 12;  // RFC 9260 3.1

struct IcmpHeader {  // RFC 792, RFC 4443
  uint8_t type;
  uint8_t code;
  Be16 checksum;
  Be32 rest;        // identifier and sequence, or the MTU of a too-big
};

inline constexpr uint8_t kIcmp4EchoReply = 0;
inline constexpr uint8_t kIcmp4Unreachable = 3;
inline constexpr uint8_t kIcmp4Echo = 8;
inline constexpr uint8_t kIcmp4TimeExceeded = 11;
inline constexpr uint8_t kIcmp4ParameterProblem = 12;
inline constexpr uint8_t kIcmp6Unreachable = 1;
inline constexpr uint8_t kIcmp6TooBig = 2;
inline constexpr uint8_t kIcmp6TimeExceeded = 3;
inline constexpr uint8_t kIcmp6ParameterProblem = 4;
inline constexpr uint8_t kIcmp6Echo = 128;
inline constexpr uint8_t kIcmp6EchoReply = 129;
inline constexpr uint8_t kIcmp6MldQuery = 130;   // RFC 2710
inline constexpr uint8_t kIcmp6MldDone = 132;
inline constexpr uint8_t kIcmp6RouterSolicitation = 133;  // RFC 4861
inline constexpr uint8_t kIcmp6NeighborSolicitation = 135;
inline constexpr uint8_t kIcmp6NeighborAdvertisement = 136;
inline constexpr uint8_t kIcmp6Redirect = 137;
inline constexpr uint8_t kIcmp6Mld2Report = 143;  // RFC 3810

struct NeighborMessage {  // RFC 4861 4.3, 4.4: solicitation and advertisement
  IcmpHeader icmp;
  Ip6Bytes target;
};

struct LinkLayerOption {  // RFC 4861 4.6.1
  uint8_t type;     // 1 source, 2 target
  uint8_t length;   // 1 (unit: 8 bytes)
  MacAddress address;
};

struct TcpHeader {  // RFC 9293
  Be16 source;
  Be16 destination;
  Be32 sequence;
  Be32 acknowledgement;
  uint8_t data_offset;  // upper 4 bits, in 4-byte units
  uint8_t flags;
  Be16 window;
  Be16 checksum;
  Be16 urgent;
};

inline constexpr uint8_t kTcpFin = 0x01;
inline constexpr uint8_t kTcpSyn = 0x02;
inline constexpr uint8_t kTcpRst = 0x04;
inline constexpr uint8_t kTcpPush = 0x08;
inline constexpr uint8_t kTcpAck = 0x10;
inline constexpr uint8_t kTcpCwr = 0x80;

struct UdpHeader {  // RFC 768
  Be16 source;
  Be16 destination;
  Be16 length;
  Be16 checksum;
};

static_assert(sizeof(EthernetHeader) == 14 && sizeof(ArpPacket) == 28);
static_assert(sizeof(Ip4Header) == 20 && sizeof(Ip6Header) == 40 && sizeof(TcpHeader) == 20);
static_assert(sizeof(NeighborMessage) == 24 && alignof(Ip6Header) == 1);

}  // namespace weir::dataplane
