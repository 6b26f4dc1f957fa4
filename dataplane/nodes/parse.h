// Checks that a frame is one weir can route and finds its headers. Everything later
// trusts the offsets and lengths found here.
// Lengths are checked before every read; a frame has exactly one reason to be dropped,
// the first in the order of the headers.
// Sources: IEEE 802.1Q, RFC 1812 5.2.2, RFC 8200, RFC 1858, RFC 7112, RFC 5095, RFC 7126.
#pragma once

#include "dataplane/core/checksum.h"
#include "dataplane/core/headers.h"
#include "dataplane/core/stage.h"

namespace weir::dataplane {

inline constexpr size_t kMaxExtensionHeaders = 8;

// Bytes of an extension header other than a fragment header.
inline size_t extension_length(uint8_t protocol, const Ip6ExtensionHeader& header) noexcept {
  if (protocol == kProtoAuthentication) return (header.length + 2U) * 4U;  // RFC 4302 2.2
  return (header.length + 1U) * 8U;
}

struct Parse {
  static constexpr Next kNext = Next::parse;
  static constexpr Next kUsual = Next::source_check;
  static Next classify(Packet& packet, StageContext& context) noexcept;
  // The L4 header of a packet that is no fragment. Drop::count when it is good.
  static Drop l4(Packet& packet) noexcept;

 private:
  // Each returns Drop::count when the packet is good so far.
  static Drop frame(Packet& packet) noexcept;
  static Drop ip4(Packet& packet) noexcept;
  static Drop ip6(Packet& packet) noexcept;
  static Drop vlan(Packet& packet) noexcept;
  static Drop ip4_options(const Packet& packet, size_t header_length) noexcept;
  static Drop ip4_fragment(Packet& packet, uint16_t fragment) noexcept;
  static Drop ip6_extensions(Packet& packet, uint8_t next_header, size_t end) noexcept;
  static Drop ip6_fragment(Packet& packet, size_t offset, size_t end) noexcept;
  static Drop l4_fragment(Packet& packet) noexcept;
  static Drop offload(const Packet& packet) noexcept;
};

inline Next Parse::classify(Packet& packet, StageContext&) noexcept {
  packet.reset_parse();
  const Drop verdict = frame(packet);
  return verdict == Drop::count ? Next::source_check : drop(packet, verdict);
}

inline Drop Parse::frame(Packet& packet) noexcept {
  const auto* ethernet = packet.header<EthernetHeader>(0);
  if (ethernet == nullptr) return Drop::parse_runt;
  if (ethernet->ethertype.host() == kEtherVlan || ethernet->ethertype.host() == kEtherQinQ)
      [[unlikely]] {
    if (const Drop verdict = vlan(packet); verdict != Drop::count) return verdict;
    ethernet = packet.header<EthernetHeader>(0);
  }
  if (mac_bits(ethernet->destination) != kGatewayMacBits && !ethernet->destination.is_multicast()) {
    return Drop::parse_destination_mac;
  }
  packet.l3_offset = sizeof(EthernetHeader);
  switch (ethernet->ethertype.host()) {
    case kEtherIp4: return ip4(packet);
    case kEtherIp6: return ip6(packet);
    case kEtherArp: return packet.offload.any() ? Drop::rx_offload : Drop::count;
    default: return Drop::parse_ethertype;
  }
}

inline Drop Parse::ip4(Packet& packet) noexcept {
  const auto* ip = packet.header<Ip4Header>(packet.l3_offset);
  const uint32_t available = packet.length - packet.l3_offset;
  if (ip == nullptr) return Drop::parse_ip4_truncated;
  if (ip->version_ihl >> 4 != 4) return Drop::parse_ip4_version;
  const size_t header_length = ip->header_length();
  const uint16_t total_length = ip->total_length.host();
  if (header_length < sizeof *ip || header_length > total_length) {
    return Drop::parse_ip4_header_length;
  }
  if (total_length > available) return Drop::parse_ip4_truncated;
  if (header_checksum(*ip) != 0) return Drop::parse_ip4_checksum;
  if (ip->ttl == 0) return Drop::parse_ip4_ttl_zero;
  // Short packets come padded to Ethernet's 60 bytes.
  if (total_length < available) packet.trim(packet.l3_offset + total_length);
  if (header_length > sizeof *ip) [[unlikely]] {
    if (const Drop verdict = ip4_options(packet, header_length); verdict != Drop::count)
      return verdict;
  }
  // RFC 1812 5.3.4: what came as a link-layer broadcast is not forwarded as unicast.
  const auto* ethernet = packet.header<EthernetHeader>(0);
  if (ethernet->destination.is_multicast() && ip->destination.raw[0] < 224) {
    return Drop::parse_destination_mac;
  }
  packet.family = Family::ip4;
  packet.l4_protocol = ip->protocol;
  packet.l4_offset = static_cast<uint16_t>(packet.l3_offset + header_length);
  packet.l4_length = static_cast<uint16_t>(total_length - header_length);
  const uint16_t fragment = ip->fragment.host();
  if ((fragment & (kIp4MoreFragments | kIp4OffsetMask)) != 0) [[unlikely]] {
    return ip4_fragment(packet, fragment);
  }
  return l4(packet);
}

inline Drop Parse::ip6(Packet& packet) noexcept {
  const auto* ip = packet.header<Ip6Header>(packet.l3_offset);
  const uint32_t available = packet.length - packet.l3_offset;
  if (ip == nullptr) return Drop::parse_ip6_truncated;
  if (ip->version_class_flow.raw[0] >> 4 != 6) return Drop::parse_ip6_version;
  const uint32_t total_length = sizeof *ip + ip->payload_length.host();
  if (total_length > available) return Drop::parse_ip6_truncated;
  if (ip->hop_limit == 0) return Drop::parse_ip6_hop_limit_zero;
  if (total_length < available) packet.trim(packet.l3_offset + total_length);
  const auto* ethernet = packet.header<EthernetHeader>(0);
  if (ethernet->destination.is_multicast() && ip->destination[0] != 0xff) {
    return Drop::parse_destination_mac;
  }
  packet.family = Family::ip6;
  packet.l4_protocol = ip->next_header;
  packet.l4_offset = static_cast<uint16_t>(packet.l3_offset + sizeof *ip);
  packet.l4_length = ip->payload_length.host();
  if (ip->next_header == kProtoTcp || ip->next_header == kProtoUdp) [[likely]]
    return l4(packet);
  return ip6_extensions(packet, ip->next_header, packet.l3_offset + total_length);
}

// The L4 header of a packet that is no fragment: there, and within the packet.
inline Drop Parse::l4(Packet& packet) noexcept {
  const uint16_t length = packet.l4_length;
  switch (packet.l4_protocol) {
    case kProtoTcp: {
      const auto* tcp = packet.header<TcpHeader>(packet.l4_offset);
      if (tcp == nullptr || length < sizeof *tcp) return Drop::parse_l4_truncated;
      const size_t header_length = (tcp->data_offset >> 4) * 4U;
      if (header_length < sizeof *tcp || header_length > length) return Drop::parse_l4_truncated;
      break;
    }
    case kProtoUdp: {
      const auto* udp = packet.header<UdpHeader>(packet.l4_offset);
      if (udp == nullptr || length < sizeof *udp) return Drop::parse_l4_truncated;
      if (udp->length.host() < sizeof *udp || udp->length.host() > length) {
        return Drop::parse_l4_truncated;
      }
      break;
    }
    case kProtoIcmp4:
    case kProtoIcmp6:
      if (length < sizeof(IcmpHeader)) return Drop::parse_l4_truncated;
      break;
    case kProtoSctp:
      if (length < kSctpHeaderLength) return Drop::parse_l4_truncated;
      break;
    default: break;
  }
  return packet.offload.any() ? offload(packet) : Drop::count;
}

}  // namespace weir::dataplane
