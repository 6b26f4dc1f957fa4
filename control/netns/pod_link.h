// Interfaces that weir makes for a kernel or host port, in the calling thread's network
// namespace: run these inside Namespace::run().
//
// A link carries its identity in its alias ("weir:<port key>"): what another program made
// under the same name is never touched.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "control/netns/netlink.h"
#include "dataplane/api/codec.h"
#include "dataplane/api/error.h"
#include "dataplane/api/net.h"

namespace weir::control {

struct PodRoute {
  IpPrefix prefix;
  IpAddress gateway;  // none = the gateway of its family
  // 0 = the kernel's or the interface's value.
  uint32_t mtu = 0;
  uint32_t advmss = 0;
  uint32_t priority = 0;
  uint32_t table = 0;
};

struct PodLink {
  std::string ifname;
  uint64_t key = 0;  // of the port
  MacAddress mac;
  uint16_t mtu = 0;  // L3 bytes
  std::vector<IpAddress> addresses;
  IpAddress gateway4;  // none = no IPv4
  IpAddress gateway6;
  std::vector<PodRoute> routes;
};

std::string link_alias(uint64_t key);
// Made by weir for any port, this store's or a lost one's.
bool is_weir_link(const Link& link);

// Makes the tap with MAC and MTU, still down. Error exists when the name is taken.
Result<api::Fd> create_link(const PodLink& link);
// Addresses, up, gateways, routes. May be repeated.
Status configure_link(const PodLink& link);
// The same for one that create_link() has just made, without looking at what is there.
Status configure_new_link(const PodLink& link);
// Opens the tap again after one of the daemons restarted. not_found when the interface
// is gone or is not the port's; busy while another process has it.
Result<api::Fd> attach_link(const PodLink& link);
// Whether the interface is there and is the port's.
Result<bool> link_exists(const PodLink& link);
// A link that is gone, or that is not the port's, is success.
Status remove_link(const PodLink& link);

Status loopback_up();

}  // namespace weir::control
