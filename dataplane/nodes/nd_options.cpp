#include "dataplane/nodes/nd_options.h"

namespace weir::dataplane {

size_t nd_options_offset(uint8_t icmp6_type) noexcept {
  switch (icmp6_type) {
    case kIcmp6RouterSolicitation: return 8;
    case kIcmp6RouterSolicitation + 1: return 16;  // router advertisement
    case kIcmp6NeighborSolicitation:
    case kIcmp6NeighborAdvertisement: return sizeof(NeighborMessage);
    case kIcmp6Redirect: return 40;
    default: return 0;
  }
}

const LinkLayerOption* find_source_link_layer(const Packet& packet) noexcept {
  const LinkLayerOption* found = nullptr;
  const bool whole = for_each_nd_option(packet, [&](uint8_t type, size_t at, size_t) {
    if (type == kNdSourceLinkLayer) {
      found = reinterpret_cast<const LinkLayerOption*>(packet.data() + at);
    }
  });
  return whole ? found : nullptr;
}

}  // namespace weir::dataplane
