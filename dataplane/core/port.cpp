#include "dataplane/core/port.h"

namespace weir::dataplane {

PortInfo make_port_info(const api::PortConfig& config) {
  PortInfo info;
  info.key = config.key;
  info.kind = config.kind;
  info.trusted = (config.flags & api::kPortTrusted) != 0;
  info.mtu = config.mtu;
  info.mac = config.mac;
  info.gateway4 = config.gateway4;
  info.gateway6 = config.gateway6;
  for (size_t i = 0; i < config.address_count && i < api::kMaxPortAddresses; ++i) {
    const IpAddress& address = config.addresses[i];
    if (address.is_ip4()) info.address4[info.address4_count++] = address.ip4_wire();
    if (address.is_ip6()) info.address6[info.address6_count++] = address.bytes;
  }
  return info;
}

}  // namespace weir::dataplane
