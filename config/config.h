// weir.json: what an operator sets, for both daemons.
//
// Every key is optional. Unknown keys, wrong types and values that cannot work are
// errors of code `config`, one sentence with the JSON path and the remedy.
// Thread safety: load() may run on any thread; a Config is a plain value.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/api/error.h"
#include "dataplane/api/net.h"

namespace weir::config {

enum class Hugepages : uint8_t {
  automatic,  // used when there are enough, else ordinary pages
  required,   // start fails without them
  off,
};

struct DataplaneConfig {
  std::vector<uint32_t> workers;  // cores, one worker each; never empty after load()
  Hugepages hugepages = Hugepages::automatic;
  uint32_t memory_mib = 256;          // for packet buffers and rings
  uint32_t connections = 1U << 20;    // to services at once, 144 bytes each when they are used
  std::string log_level = "info";     // trace, debug, info, warn, error, critical or off
  std::vector<std::string> eal_args;  // passed to DPDK's EAL after weir's own
};

struct ControlConfig {
  std::string log_level = "info";
  std::string metrics = "127.0.0.1:9470";  // "IP:PORT" or "[IPv6]:PORT"; empty = not served
};

// An interface's own address and the length of the network it is in.
struct InterfaceAddress {
  IpAddress address;
  uint8_t length = 0;
};

// A device of DPDK that leads to other nodes.
struct UplinkConfig {
  std::string name;     // unique
  std::string devargs;  // DPDK's
  std::vector<InterfaceAddress> addresses;  // one of a family at most; never empty
  uint16_t mtu = 0;     // L3 bytes; 0 = the device's
  uint16_t queues = 0;  // of the device at most; 0 = one a worker
  bool default_route = false;  // a kernel interface with the node's default route may be used
};

struct NextHopConfig {
  IpAddress address;    // of the prefix's family
  uint16_t weight = 1;  // its share of flows beside the others', 1..256
};

struct RouteConfig {
  IpPrefix prefix;
  std::vector<NextHopConfig> via;  // 1 to 8, each another
};

// Routes of the kernel that become the dataplane's: those of a routing daemon.
struct KernelRoutesConfig {
  uint32_t table = 254;            // the main one
  std::vector<uint8_t> protocols;  // RTPROT_*, who put a route there; empty = none is taken
};

struct NetworkConfig {
  std::string name = "weir";
  std::vector<IpPrefix> pod_cidrs;  // never empty after load(); disjoint
  // Networks outside that see pods' own addresses; all others see the node's. A family that
  // none is of is not masqueraded at all.
  std::vector<IpPrefix> non_masquerade_cidrs;
  uint16_t mtu = 1500;              // L3 bytes of pod interfaces
  uint32_t max_pods = 4096;         // pod interfaces at once; ADD is refused beyond it
  std::string host_interface = "weir0";
  uint32_t socket_mode = 0660;  // permission bits of pod-facing sockets
  uid_t socket_uid = 0;         // their owner
  std::string socket_group = "root";
  gid_t socket_gid = 0;  // of socket_group
  std::vector<UplinkConfig> uplinks;
  std::vector<RouteConfig> routes;  // to other nodes; disjoint prefixes
  KernelRoutesConfig kernel_routes;
};

// How the cluster's objects name this node.
struct NodeConfig {
  std::string name;  // never empty after load(): the host's name by default
  std::string zone;  // topology.kubernetes.io/zone; empty = not known
};

struct ServicesConfig {
  std::string directory;     // of files with Services and EndpointSlices; empty = none
  std::string registration;  // "IP:PORT" of the HTTP interface for pods; empty = not served
  // Pod networks of all nodes: clients from there count as inside, as this node's pods do.
  std::vector<IpPrefix> cluster_cidrs;
};

struct Config {
  DataplaneConfig dataplane;
  ControlConfig control;
  NetworkConfig network;
  NodeConfig node;
  ServicesConfig services;
};

struct LoadOptions {
  // weir-control loads the same file but may be confined to other cores than the
  // workers'; it clears this.
  bool check_cores = true;
};

// Reads the file. `path` is what --config gave; empty means kDefaultConfigPath, which
// may be missing (all defaults then). A path that was given must exist.
Result<Config> load(const std::string& path, const LoadOptions& options = {});

// The same for text; `origin` names it in errors.
Result<Config> parse(std::string_view text, const std::string& origin,
                     const LoadOptions& options = {});

// "section.key" of everything load() takes, sections themselves left out.
std::vector<std::string> known_keys();

// Cores that this process may run on, ascending (sched_getaffinity).
std::vector<uint32_t> usable_cores();

}  // namespace weir::config
