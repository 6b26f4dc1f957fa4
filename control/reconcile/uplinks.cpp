#include "control/reconcile/uplinks.h"

#include "dataplane/api/codec.h"

namespace weir::control {

namespace {

// Keys of pods' ports count from 1; an uplink's is made of its name, so that it stays when
// others come and go.
constexpr uint64_t kUplinkKeys = uint64_t{1} << 40;

uint64_t key_of(const std::string& name) {
  uint32_t hash = 2166136261U;  // FNV-1a
  for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619U;
  return kUplinkKeys + hash;
}

}  // namespace

std::vector<api::UplinkConfig> uplinks(const config::NetworkConfig& network) {
  std::vector<api::UplinkConfig> all;
  for (const config::UplinkConfig& uplink : network.uplinks) {
    api::UplinkConfig config{.key = key_of(uplink.name), .mtu = uplink.mtu, .queues = uplink.queues};
    api::set_text(config.name, uplink.name);
    api::set_text(config.devargs, uplink.devargs);
    for (const config::InterfaceAddress& own : uplink.addresses) {
      (own.address.is_ip4() ? config.address4 : config.address6) = own.address;
      (own.address.is_ip4() ? config.length4 : config.length6) = own.length;
    }
    all.push_back(config);
  }
  return all;
}

api::Route configured_route(const config::RouteConfig& route) {
  return {.prefix = route.prefix, .kind = api::RouteKind::gateway, .gateway = route.via};
}

}  // namespace weir::control
