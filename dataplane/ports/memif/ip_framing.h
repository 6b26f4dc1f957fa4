// IP mode: what lies on the rings starts with its IP header, while stages work on Ethernet
// frames. A header is put before each packet on rx and taken off on tx; neither leaves
// the packet's own storage.
#pragma once

#include <span>

#include "dataplane/core/headers.h"
#include "dataplane/core/packet.h"

namespace weir::dataplane::memif {

// IEEE 802.3: no protocol has it, so a packet that is not IP ends in the parse stage.
inline constexpr uint16_t kEtherReserved = 0xffff;

// An ICMP error puts its own headers (IPv6 and ICMPv6 at most) before the packet too.
static_assert(kHeadroom - sizeof(EthernetHeader) >= sizeof(Ip6Header) + 8);

// Threads: any; immutable.
class IpFraming {
 public:
  // `pod`: the source of received frames, as the port's source check wants it.
  explicit IpFraming(const MacAddress& pod) noexcept {
    store_mac(header_.destination, kGatewayMacBits);
    header_.source = pod;
  }

  // A received packet becomes a frame to the gateway.
  void wrap(Packet& packet) const noexcept {
    EthernetHeader header = header_;
    header.ethertype.set(ethertype(packet));
    grow(packet, sizeof header);
    std::memcpy(packet.data(), &header, sizeof header);
  }

  // Before and after a frame is copied out: the packet without its link header, and with.
  static void strip(Packet& packet) noexcept { shrink(packet, packet.l3_offset); }
  static void restore(Packet& packet) noexcept { grow(packet, packet.l3_offset); }

 private:
  static uint16_t ethertype(const Packet& packet) noexcept {
    const auto version = std::to_integer<unsigned>(packet.data()[0]) >> 4;  // no packet is empty
    return version == 4 ? kEtherIp4 : version == 6 ? kEtherIp6 : kEtherReserved;
  }
  static void grow(Packet& packet, size_t bytes) noexcept {
    packet.head_offset = static_cast<uint16_t>(packet.head_offset - bytes);
    packet.head_length = static_cast<uint16_t>(packet.head_length + bytes);
    packet.length += static_cast<uint32_t>(bytes);
  }
  static void shrink(Packet& packet, size_t bytes) noexcept {
    packet.head_offset = static_cast<uint16_t>(packet.head_offset + bytes);
    packet.head_length = static_cast<uint16_t>(packet.head_length - bytes);
    packet.length -= static_cast<uint32_t>(bytes);
  }

  EthernetHeader header_{};
};

}  // namespace weir::dataplane::memif
