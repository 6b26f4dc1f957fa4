#include "dataplane/core/port.h"

#include <bit>

#include "dataplane/core/headers.h"
#include "dataplane/core/routable.h"

namespace weir::dataplane {

namespace {

using Bytes2 = std::array<uint8_t, 2>;
constexpr size_t kL3 = sizeof(EthernetHeader);

void require_ethernet(auto& match, const PortInfo& info, Bytes2 ethertype) {
  match.require(offsetof(EthernetHeader, destination), kGatewayMac.bytes);
  match.require(offsetof(EthernetHeader, source), info.mac.bytes);
  match.require(offsetof(EthernetHeader, ethertype), ethertype);
}

void lease_matches(PortInfo& info) {
  if (info.trusted) return;
  if (info.address4_count == 1) {
    const auto source = std::bit_cast<std::array<uint8_t, 4>>(info.address4[0]);
    if (routable4(source[0])) {
      require_ethernet(info.lease4, info, Bytes2{0x08, 0x00});
      info.lease4.require(kL3, std::array<uint8_t, 1>{0x45});  // version 4, 20 bytes
      info.lease4.require(kL3 + offsetof(Ip4Header, fragment), Bytes2{}, Bytes2{0x3f, 0xff});
      info.lease4.require(kL3 + offsetof(Ip4Header, source), source);
    }
  }
  if (info.address6_count == 1 && routable6(info.address6[0][0])) {
    require_ethernet(info.lease6, info, Bytes2{0x86, 0xdd});
    info.lease6.require(kL3, std::array<uint8_t, 1>{0x60}, std::array<uint8_t, 1>{0xf0});
    info.lease6.require(kL3 + offsetof(Ip6Header, source), info.address6[0]);
  }
}

}  // namespace

PortInfo make_port_info(const api::PortConfig& config) {
  PortInfo info;
  info.key = config.key;
  info.kind = config.kind;
  info.trusted = (config.flags & api::kPortTrusted) != 0;
  info.kernel_hears = (config.flags & api::kPortKernelHears) != 0;
  info.mtu = config.mtu;
  info.mac = config.mac;
  info.gateway4 = config.gateway4;
  info.gateway6 = config.gateway6;
  for (size_t i = 0; i < config.address_count && i < api::kMaxPortAddresses; ++i) {
    const IpAddress& address = config.addresses[i];
    if (address.is_ip4()) info.address4[info.address4_count++] = address.ip4_wire();
    if (address.is_ip6()) info.address6[info.address6_count++] = address.bytes;
  }
  lease_matches(info);
  return info;
}

void set_policers(PortInfo& info, PortPolicers* policers) {
  info.policers = policers;
  if (policers == nullptr) return;
  info.lease4 = {};
  info.lease6 = {};
}

}  // namespace weir::dataplane
