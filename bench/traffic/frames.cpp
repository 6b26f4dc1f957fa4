#include "bench/traffic/frames.h"

#include <algorithm>
#include <cstring>

namespace weir::bench {

using namespace dataplane;

namespace {

constexpr uint16_t kFirstPort = 9000;  // destination port of flows 0 to 65535
constexpr uint8_t kTtl = 64;
constexpr uint32_t kEthernet = sizeof(EthernetHeader);

Ip4Header* ip4(std::byte* frame) { return reinterpret_cast<Ip4Header*>(frame + kEthernet); }
const Ip4Header* ip4(const std::byte* frame) {
  return reinterpret_cast<const Ip4Header*>(frame + kEthernet);
}
Ip6Header* ip6(std::byte* frame) { return reinterpret_cast<Ip6Header*>(frame + kEthernet); }
const Ip6Header* ip6(const std::byte* frame) {
  return reinterpret_cast<const Ip6Header*>(frame + kEthernet);
}

uint16_t destination_port(uint32_t flow) {
  return static_cast<uint16_t>(kFirstPort + (flow >> 16));
}

Ip4Header header4(const IpAddress& source) {
  Ip4Header ip{};
  ip.version_ihl = 0x45;
  ip.ttl = kTtl;
  ip.protocol = kProtoUdp;
  ip.source.set_wire(source.ip4_wire());
  return ip;
}

}  // namespace

Frames::Frames(const FrameSpec& spec)
    : spec_(spec),
      ip6_(spec.source.is_ip6()),
      l4_offset_(kEthernet + static_cast<uint32_t>(ip6_ ? sizeof(Ip6Header) : sizeof(Ip4Header))) {
  if (ip6_) return;
  const Ip4Header ip = header4(spec.source);
  header_sum_ = add_bytes(0, &ip, sizeof ip);
  targets4_.reserve(spec.targets.size());
  for (const IpAddress& target : spec.targets) {
    targets4_.push_back({target.ip4_wire(), fold(target.ip4_wire())});
  }
}

uint32_t Frames::smallest() const noexcept {
  return std::max<uint32_t>(60, l4_offset_ + sizeof(UdpHeader) + sizeof(Stamp));
}

void Frames::fill(std::byte* frame, uint32_t length) const {
  std::memset(frame, 0, length);
  auto* ethernet = reinterpret_cast<EthernetHeader*>(frame);
  ethernet->destination = spec_.gateway_mac;
  ethernet->source = spec_.source_mac;
  ethernet->ethertype.set(ip6_ ? kEtherIp6 : kEtherIp4);
  const auto l4_length = static_cast<uint16_t>(length - l4_offset_);
  if (ip6_) {
    Ip6Header& ip = *ip6(frame);
    ip.version_class_flow.set(6U << 28);
    ip.payload_length.set(l4_length);
    ip.next_header = kProtoUdp;
    ip.hop_limit = kTtl;
    ip.source = spec_.source.bytes;
  } else {
    *ip4(frame) = header4(spec_.source);
    ip4(frame)->total_length.set(static_cast<uint16_t>(length - kEthernet));
  }
  reinterpret_cast<UdpHeader*>(l4(frame))->length.set(l4_length);
}

void Frames::touch(std::byte* frame, uint32_t length, uint64_t tsc) noexcept {
  set_destination(frame, length);
  auto* udp = reinterpret_cast<UdpHeader*>(l4(frame));
  udp->source.set(static_cast<uint16_t>(flow_));
  udp->destination.set(destination_port(flow_));
  store(udp + 1, Stamp{number_, tsc});
  ++number_;
  if (++target_ == spec_.targets.size()) target_ = 0;
  if (++flow_ == spec_.flows) flow_ = 0;
}

void Frames::set_destination(std::byte* frame, uint32_t length) noexcept {
  if (ip6_) {
    ip6(frame)->destination = spec_.targets[target_].bytes;
    return;
  }
  Ip4Header& ip = *ip4(frame);
  const Target4& target = targets4_[target_];
  const auto total = static_cast<uint16_t>(length - kEthernet);
  ip.ttl = kTtl;
  ip.destination.set_wire(target.wire);
  ip.checksum.set_wire(finish(header_sum_ + target.sum + __builtin_bswap16(total)));
}

bool Frames::is_destination(const std::byte* frame, uint32_t number) const noexcept {
  const IpAddress& target = spec_.delivered.is_none()
                                ? spec_.targets[number % spec_.targets.size()]
                                : spec_.delivered;
  if (ip6_) return ip6(frame)->destination == target.bytes;
  return ip4(frame)->destination.wire() == target.ip4_wire() && header_checksum(*ip4(frame)) == 0;
}

std::optional<Stamp> Frames::check(const std::byte* frame, uint32_t length) const noexcept {
  if (length < smallest()) return std::nullopt;
  const auto& udp = *reinterpret_cast<const UdpHeader*>(frame + l4_offset_);
  const auto stamp = load<Stamp>(&udp + 1);
  const uint32_t flow = stamp.number % spec_.flows;
  const bool good = is_destination(frame, stamp.number) &&
                    udp.length.host() == length - l4_offset_ &&
                    udp.source.host() == static_cast<uint16_t>(flow) &&
                    udp.destination.host() == destination_port(flow);
  return good ? std::optional(stamp) : std::nullopt;
}

}  // namespace weir::bench
