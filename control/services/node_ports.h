// NodePorts and host ports on the node's kernel: packets that arrive there for one of them
// are turned to the gateway, where the dataplane serves them all. The client's address stays.
#pragma once

#include <array>
#include <set>
#include <string>

#include "control/services/masquerade.h"
#include "dataplane/api/error.h"
#include "dataplane/api/net.h"

namespace weir::control {

struct NodePort {
  uint8_t protocol = 0;
  uint16_t port = 0;
  IpAddress address;  // of the node; none = all

  auto operator<=>(const NodePort&) const = default;
};
using NodePorts = std::set<NodePort>;

struct NodePortRules {
  NodePorts ports;
  IpAddress gateway4;  // none = not for this family
  IpAddress gateway6;
  std::string interface;  // the host port's: its packets have been through the dataplane
  Masquerade masquerade;

  auto operator<=>(const NodePortRules&) const = default;
  bool wanted() const {
    return !ports.empty() || masquerade.covers(Family::ip4) || masquerade.covers(Family::ip6);
  }
};

// nftables' table inet weir as nft -f reads it, replacing the former whole; without ports
// and masquerade it only goes. Connections that the kernel follows stay as they are.
std::string to_nft(const NodePortRules& rules);

// Blocks. Errors: unsupported without nft, io with what nft says.
Status load_rules(const std::string& text);

}  // namespace weir::control
