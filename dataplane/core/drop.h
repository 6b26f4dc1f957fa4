// The one drop table. A reason is named `<stage>_<reason>`; the name is the counter,
// the metric label, the text in traces and the case in the packet tests.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weir::dataplane {

// X(name, text)
#define WEIR_DROPS(X)                                                                        \
  X(parse_runt, "frame shorter than its Ethernet header")                                    \
  X(parse_destination_mac, "frame not addressed to the gateway")                             \
  X(parse_vlan, "VLAN tag with a VLAN id on an untagged port")                               \
  X(parse_vlan_stacked, "more than one VLAN tag")                                            \
  X(parse_ethertype, "neither IPv4, IPv6 nor ARP")                                           \
  X(parse_ip4_truncated, "IPv4 header or total length beyond the frame")                     \
  X(parse_ip4_version, "IPv4 version field is not 4")                                        \
  X(parse_ip4_header_length, "IPv4 header length below 20 bytes or above the total length")  \
  X(parse_ip4_checksum, "IPv4 header checksum is wrong")                                     \
  X(parse_ip4_ttl_zero, "IPv4 packet arrived with TTL 0")                                    \
  X(parse_ip4_source_route, "IPv4 source route option (RFC 7126)")                           \
  X(parse_ip4_options, "IPv4 options are malformed")                                         \
  X(parse_ip4_fragment, "IPv4 fragment is empty, not a multiple of 8 bytes or past 65535 bytes") \
  X(parse_ip4_tiny_fragment, "first IPv4 fragment without its whole L4 header, or one that overlaps it (RFC 1858)") \
  X(parse_ip6_truncated, "IPv6 header or payload length beyond the frame")                   \
  X(parse_ip6_version, "IPv6 version field is not 6")                                        \
  X(parse_ip6_hop_limit_zero, "IPv6 packet arrived with hop limit 0")                        \
  X(parse_ip6_extension_chain, "IPv6 extension headers too many, too long or malformed")     \
  X(parse_ip6_routing_header, "IPv6 routing header type 0 (RFC 5095)")                       \
  X(parse_ip6_fragment, "IPv6 fragment is empty, not a multiple of 8 bytes or past 65535 bytes") \
  X(parse_ip6_tiny_fragment, "first IPv6 fragment without its whole header chain (RFC 7112)") \
  X(parse_l4_truncated, "TCP, UDP, SCTP or ICMP header beyond the packet")                   \
  X(source_mac, "Ethernet source is not the port's")                                         \
  X(source_ip4, "IPv4 source is not in the port's lease")                                    \
  X(source_ip6, "IPv6 source is not in the port's lease")                                    \
  X(source_arp, "ARP sender is not the port's lease")                                        \
  X(source_nd, "neighbour discovery source is not the port's lease")                         \
  X(source_martian, "source address may never leave its host or link (RFC 6890)")            \
  X(source_port_gone, "receiving port was removed")                                          \
  X(arp_malformed, "ARP packet is not Ethernet/IPv4 request or reply, or truncated")         \
  X(arp_not_gateway, "ARP request for an address that is not the gateway")                   \
  X(arp_reply_ignored, "ARP reply or announcement; neighbours come from leases")             \
  X(nd_malformed, "neighbour discovery with hop limit below 255, bad length or checksum")    \
  X(nd_not_gateway, "neighbour solicitation for an address that is not the gateway")         \
  X(nd_ignored, "neighbour discovery message that needs no answer")                          \
  X(neighbor_queue_full, "queue to the main thread, which resolves neighbours, is full")     \
  X(neighbor_held_full, "as many packets as may wait for this neighbour or on its uplink do already") \
  X(neighbor_table_full, "table of neighbours is full")                                      \
  X(neighbor_gone, "the uplink or its network went away while the packet waited")            \
  X(connection_sctp_fragment, "fragment of an SCTP packet whose port would change; its checksum is out of reach") \
  X(connection_table_full, "new connection while the connection table is full")              \
  X(connection_quota, "new connection of a port that has its share of the table already")    \
  X(connection_quota_outside, "new connection from outside while those have their half of the table") \
  X(connection_quota_host, "new connection of a host outside that has as many as are left for all") \
  X(connection_no_masquerade, "new connection needs an address of the node, and none is set") \
  X(connection_no_port, "no free port of the node's address for a new connection to this backend") \
  X(service_no_frontend, "no service has this port of the address")                          \
  X(service_source_range, "client is not in the service's source ranges")                    \
  X(service_no_backend, "service has no usable backend")                                     \
  X(service_not_local, "service serves this client from this node alone, and has no backend here") \
  X(service_fragment, "later fragment to a service without its first one")                   \
  X(route_none, "no route to the destination")                                               \
  X(route_blackhole, "blackhole route")                                                      \
  X(route_unreachable, "unreachable route")                                                  \
  X(route_unresolved, "the route's gateway or port is not there")                            \
  X(route_multicast, "multicast or broadcast destination; only unicast is routed")           \
  X(route_martian, "destination is loopback, unspecified, reserved or IPv6 link-local")      \
  X(local_ignored, "packet to the gateway itself that it does not serve")                    \
  X(police_from_pod, "pod sends more than its egress bandwidth")                             \
  X(police_to_pod, "pod gets more than its ingress bandwidth")                               \
  X(masquerade_fragment, "later fragment to a host outside without its first one")           \
  X(rewrite_ttl_expired, "TTL or hop limit expired in transit")                              \
  X(mtu_too_big, "packet exceeds the next hop's MTU and may not be fragmented")              \
  X(icmp_no_error, "no ICMP error may be sent about this packet (RFC 1122, RFC 4443)")       \
  X(icmp_rate_limited, "ICMP error over the port's rate")                                    \
  X(tx_port_gone, "destination port was removed")                                            \
  X(tx_port_down, "destination port has no peer")                                            \
  X(tx_ring_full, "destination's ring is full: its reader is too slow")                      \
  X(tx_too_long, "frame longer than the destination's buffers")                              \
  X(tx_kernel_has_it, "frame of an uplink whose interface the kernel keeps: it got it itself") \
  X(tx_kernel_refused, "kernel refused the frame")                                           \
  X(tx_segmentation, "segmentation request that is malformed or not possible")               \
  X(tx_handoff_full, "queue to the worker that owns the destination is full")                \
  X(rx_other_mac, "frame on an uplink that is addressed to another host")                    \
  X(rx_own_mac, "frame on an uplink that comes from its own MAC address")                    \
  X(rx_truncated, "frame longer than the receive buffer")                                    \
  X(rx_offload, "receiver's offload header does not fit the frame")

enum class Drop : uint8_t {
#define WEIR_DROP_ENUM(name, text) name,
  WEIR_DROPS(WEIR_DROP_ENUM)
#undef WEIR_DROP_ENUM
      count
};

inline constexpr size_t kDropCount = static_cast<size_t>(Drop::count);

struct DropInfo {
  std::string_view name;
  std::string_view text;
};

inline constexpr std::array<DropInfo, kDropCount> kDrops{{
#define WEIR_DROP_INFO(name, text) {#name, text},
    WEIR_DROPS(WEIR_DROP_INFO)
#undef WEIR_DROP_INFO
}};

constexpr const DropInfo& info(Drop drop) noexcept { return kDrops[static_cast<size_t>(drop)]; }

}  // namespace weir::dataplane
