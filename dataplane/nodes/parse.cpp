#include "dataplane/nodes/parse.h"

namespace weir::dataplane {
namespace {

constexpr uint8_t kOptionEnd = 0;
constexpr uint8_t kOptionNop = 1;
constexpr uint8_t kOptionLooseSourceRoute = 131;
constexpr uint8_t kOptionStrictSourceRoute = 137;
constexpr uint16_t kVlanIdMask = 0x0fff;
constexpr uint32_t kMaxIpBytes = 65535;

size_t minimal_l4_header(uint8_t protocol) noexcept {
  switch (protocol) {
    case kProtoTcp: return sizeof(TcpHeader);
    case kProtoUdp: return sizeof(UdpHeader);
    case kProtoIcmp4:
    case kProtoIcmp6: return sizeof(IcmpHeader);
    case kProtoSctp: return kSctpHeaderLength;
    default: return 0;
  }
}

}  // namespace

// A priority tag says nothing to a router: it is cut out by moving the MAC addresses.
Drop Parse::vlan(Packet& packet) noexcept {
  const auto* tag = packet.header<VlanHeader>(sizeof(EthernetHeader));
  if (tag == nullptr) return Drop::parse_runt;
  const uint16_t inner = tag->ethertype.host();
  if (inner == kEtherVlan || inner == kEtherQinQ) return Drop::parse_vlan_stacked;
  if ((tag->tag.host() & kVlanIdMask) != 0) return Drop::parse_vlan;
  constexpr uint32_t kTag = sizeof(VlanHeader);
  std::memmove(packet.data() + kTag, packet.data(), 2 * sizeof(MacAddress));
  packet.head_offset = static_cast<uint16_t>(packet.head_offset + kTag);
  packet.head_length = static_cast<uint16_t>(packet.head_length - kTag);
  packet.length -= kTag;
  // An underflow gives a start that no header matches, which offload() refuses.
  packet.offload.checksum_start = static_cast<uint16_t>(packet.offload.checksum_start - kTag);
  return Drop::count;
}

// RFC 7126 4.3 and 4.4: source routes are dropped; other options pass.
Drop Parse::ip4_options(const Packet& packet, size_t header_length) noexcept {
  const std::byte* option = packet.data() + packet.l3_offset + sizeof(Ip4Header);
  size_t left = header_length - sizeof(Ip4Header);
  while (left > 0) {
    const auto type = static_cast<uint8_t>(option[0]);
    if (type == kOptionEnd) break;
    if (type == kOptionNop) {
      ++option;
      --left;
      continue;
    }
    if (type == kOptionLooseSourceRoute || type == kOptionStrictSourceRoute) {
      return Drop::parse_ip4_source_route;
    }
    const size_t length = left > 1 ? static_cast<uint8_t>(option[1]) : 0;
    if (length < 2 || length > left) return Drop::parse_ip4_options;
    option += length;
    left -= length;
  }
  return Drop::count;
}

Drop Parse::ip4_fragment(Packet& packet, uint16_t fragment) noexcept {
  packet.fragment = true;
  const uint32_t offset = (fragment & kIp4OffsetMask) * 8U;
  const bool more = (fragment & kIp4MoreFragments) != 0;
  const uint32_t header = packet.l4_offset - packet.l3_offset;
  if (packet.l4_length == 0 || (more && packet.l4_length % 8 != 0) ||
      header + offset + packet.l4_length > kMaxIpBytes) {
    return Drop::parse_ip4_fragment;
  }
  if (offset == 0) return l4_fragment(packet);
  // RFC 1858 4: the fragment that would overwrite TCP flags, or any other L4 header.
  if (offset < minimal_l4_header(packet.l4_protocol)) return Drop::parse_ip4_tiny_fragment;
  packet.l4_offset = 0;
  return packet.offload.any() ? Drop::rx_offload : Drop::count;
}

// A first fragment must hold the whole L4 header, so that nobody downstream decides on
// a half of it (RFC 1858 3.2, RFC 7112 5).
Drop Parse::l4_fragment(Packet& packet) noexcept {
  const Drop tiny =
      packet.family == Family::ip4 ? Drop::parse_ip4_tiny_fragment : Drop::parse_ip6_tiny_fragment;
  if (packet.l4_length < minimal_l4_header(packet.l4_protocol)) return tiny;
  if (packet.l4_protocol == kProtoTcp) {
    const auto* tcp = packet.header<TcpHeader>(packet.l4_offset);
    const size_t header_length = (tcp->data_offset >> 4) * 4U;
    if (header_length < sizeof *tcp) return Drop::parse_l4_truncated;
    if (header_length > packet.l4_length) return tiny;
  }
  return packet.offload.any() ? Drop::rx_offload : Drop::count;
}

Drop Parse::ip6_extensions(Packet& packet, uint8_t next_header, size_t end) noexcept {
  size_t offset = packet.l4_offset;
  for (size_t count = 0;; ++count) {
    const bool extension = next_header == kProtoHopByHop || next_header == kProtoRouting ||
                           next_header == kProtoDestinationOptions ||
                           next_header == kProtoAuthentication || next_header == kProtoFragment;
    if (!extension) break;
    const Drop cut =
        packet.fragment ? Drop::parse_ip6_tiny_fragment : Drop::parse_ip6_extension_chain;
    // RFC 8200 4.1: hop-by-hop options come first or not at all.
    if (count == kMaxExtensionHeaders || (next_header == kProtoHopByHop && count != 0)) {
      return Drop::parse_ip6_extension_chain;
    }
    if (offset + 8 > end) return cut;
    const auto* header = packet.header<Ip6ExtensionHeader>(offset);
    if (header == nullptr) return Drop::parse_ip6_extension_chain;
    if (next_header == kProtoRouting && header->type == 0) return Drop::parse_ip6_routing_header;
    const uint8_t current = next_header;
    next_header = header->next_header;
    if (current == kProtoFragment) {
      const Drop verdict = ip6_fragment(packet, offset, end);
      if (verdict != Drop::count || packet.l4_offset == 0) return verdict;
      offset += sizeof(Ip6FragmentHeader);
      continue;
    }
    offset += extension_length(current, *header);
    if (offset > end) return cut;
  }
  packet.l4_protocol = next_header;
  packet.l4_offset = static_cast<uint16_t>(offset);
  packet.l4_length = static_cast<uint16_t>(end - offset);
  if (packet.fragment && packet.l4_length < minimal_l4_header(next_header)) {
    return Drop::parse_ip6_tiny_fragment;
  }
  // Stages decide on the snapshot alone, so an L4 header beyond it is too far.
  if (packet.l4_length >= minimal_l4_header(next_header) &&
      offset + minimal_l4_header(next_header) > packet.head_length) {
    return Drop::parse_ip6_extension_chain;
  }
  return packet.fragment ? l4_fragment(packet) : l4(packet);
}

// A later fragment ends the walk: l4_offset 0 and the protocol its header names.
Drop Parse::ip6_fragment(Packet& packet, size_t offset, size_t end) noexcept {
  const auto* header = packet.header<Ip6FragmentHeader>(offset);
  if (header == nullptr || packet.fragment) return Drop::parse_ip6_extension_chain;
  packet.fragment = true;
  const uint32_t start = header->offset.host() & kIp6OffsetMask;
  const bool more = (header->offset.host() & kIp6MoreFragments) != 0;
  const size_t payload = end - offset - sizeof *header;
  // RFC 8200 4.5: what a reassembled packet could never be.
  if (payload == 0 || (more && payload % 8 != 0) ||
      offset - packet.l3_offset - sizeof(Ip6Header) + start + payload > kMaxIpBytes) {
    return Drop::parse_ip6_fragment;
  }
  if (start == 0) return Drop::count;
  packet.l4_protocol = header->next_header;
  packet.l4_offset = 0;
  packet.l4_length = static_cast<uint16_t>(payload);
  return packet.offload.any() ? Drop::rx_offload : Drop::count;
}

// The offload header comes from the sender: it must describe this very packet.
Drop Parse::offload(const Packet& packet) noexcept {
  const Offload& offload = packet.offload;
  const bool tcp = packet.l4_protocol == kProtoTcp;
  if (!tcp && packet.l4_protocol != kProtoUdp) return Drop::rx_offload;
  const size_t field = tcp ? offsetof(TcpHeader, checksum) : offsetof(UdpHeader, checksum);
  if (!offload.partial_checksum || offload.checksum_start != packet.l4_offset ||
      offload.checksum_offset != field) {
    return Drop::rx_offload;
  }
  if (offload.gso == Gso::none) return Drop::count;
  const Gso expected = packet.family == Family::ip4 ? Gso::tcp4 : Gso::tcp6;
  if (!tcp || offload.gso != expected || offload.segment_size == 0) return Drop::rx_offload;
  return Drop::count;
}

}  // namespace weir::dataplane
