// The dataplane API on the wire: SOCK_SEQPACKET on dataplane.sock, one message a
// packet. Numbers are in host byte order (same machine), addresses in network order.
//
// A message is a Header followed by `count` records of `record_size` bytes.
// A receiver takes records that are longer than it knows (it ignores the tail) and
// shorter ones (the rest reads as zero), so fields are only ever appended.
// A reply carries the request's type and sequence. status != 0: the body is the
// error sentence as text and nothing was changed by the record `failed`; records
// before it stay applied. Lists come as several replies; all but the last have
// kFlagMore. A file descriptor (SCM_RIGHTS) belongs to the message that carries it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "dataplane/api/net.h"
#include "dataplane/api/service.h"

namespace weir::api {

inline constexpr uint32_t kMagic = 0x72696577;  // "weir"
inline constexpr uint16_t kVersion = 1;
inline constexpr size_t kMaxMessage = 60 * 1024;  // fits a default socket buffer
inline constexpr uint16_t kFlagReply = 1;
inline constexpr uint16_t kFlagMore = 2;

enum class MessageType : uint16_t {
  hello = 1,         // Hello -> Hello; must come first
  status = 2,        // - -> DataplaneStatus
  replay_begin = 3,  // Replay -> Replay: everything set from here on is marked with it
  replay_end = 4,    // Replay -> Replay: sweeps what the generation did not name
  // PortConfig (+ tap fd for kernel and host) -> PortState; idempotent by key. Without a
  // descriptor a known kernel or host port keeps the tap it has (an unknown one is
  // refused with not_found: open the tap and set it again); with one it takes the new.
  port_set = 10,
  port_delete = 11,  // PortKey -> -; an unknown key is success
  port_list = 12,    // - -> PortState...
  port_limit = 13,   // PortLimits -> -; of a port that is there; zeros lift the limits
  // UplinkConfig -> PortState; idempotent by key, deleted and swept as ports are. Another
  // device, MTU or number of queues takes the port down for a moment.
  uplink_set = 14,
  neighbor_list = 15, // - -> NeighborState... of all uplinks
  route_set = 20,    // Route... -> -; idempotent by prefix
  route_delete = 21, // Route (prefix only)... -> -; an unknown prefix is success
  route_list = 22,   // - -> Route... (pods' host routes included)
  route_lookup = 23, // RouteLookup -> Route: the longest match
  worker_list = 30,  // - -> WorkerState...
  drop_list = 31,    // PortKey (0 = whole node) -> DropCounter..., zero counters included
  trace_start = 40,  // TraceFilter -> -; replaces a running trace
  trace_read = 41,   // - -> TraceRecord... collected since the last read
  trace_route = 42,  // PathQuery -> PathTrace (dataplane/api/path.h); not_found: no such port
  // Services: records in dataplane/api/service.h.
  group_set = 50,        // Backend... -> -; lists that are replaced whole
  group_delete = 51,     // ListKey... -> -; unknown is success; invalid_argument while a frontend uses it
  prefix_set = 52,       // PrefixMember... -> -; lists that are replaced whole
  prefix_delete = 53,    // ListKey... -> -; as group_delete
  frontend_set = 54,     // Frontend... -> -; idempotent by key; not_found: its group or set is not there
  frontend_delete = 55,  // FrontendKey... -> -; unknown is success
  frontend_list = 56,    // - -> FrontendState...
  group_list = 57,       // ListKey (0 = all) -> BackendState...
  service_settings = 58, // ServiceSettings -> -
  connection_list = 60,  // ConnectionQuery -> ConnectionState...
  connection_stats = 61, // - -> ConnectionStats
};

struct Header {
  uint32_t magic = kMagic;
  uint16_t version = kVersion;
  MessageType type{};
  uint16_t flags = 0;
  uint16_t record_size = 0;
  uint32_t count = 0;
  uint32_t sequence = 0;
  int32_t status = 0;   // ErrorCode
  uint32_t failed = 0;  // with status != 0: index of the record that failed
};
static_assert(sizeof(Header) == 28);

struct Hello {
  uint32_t pid = 0;
  uint32_t reserved = 0;
  uint64_t instance = 0;         // dataplane's: changes with every start
  std::array<char, 32> name{};   // program, zero-terminated
  std::array<char, 32> build{};  // version text
};

struct Replay {
  uint64_t generation = 0;  // control's, never 0, never reused on one dataplane instance
  uint32_t ports_swept = 0;
  uint32_t routes_swept = 0;
  uint32_t frontends_swept = 0;
  uint32_t lists_swept = 0;  // groups and prefix sets
};

struct DataplaneStatus {
  uint64_t instance = 0;
  uint64_t generation = 0;  // of the last completed replay, 0 = none yet
  uint64_t uptime_ns = 0;
  uint32_t pid = 0;
  uint32_t workers = 0;
  uint32_t ports = 0;
  uint32_t routes = 0;
  uint64_t tsc_hz = 0;
  uint64_t table_bytes = 0;     // memory of routes, backends and connections
  uint64_t pending_reclaim = 0; // objects that wait for a grace period
  uint8_t hugepages = 0;        // 1: memory comes from hugepages
  std::array<uint8_t, 7> reserved{};
};

enum class PortKind : uint8_t { none = 0, kernel = 1, memif = 2, vhost_user = 3, host = 4, uplink = 5 };

inline constexpr uint32_t kPortTrusted = 1;      // no source checks (host, trusted uplinks)
inline constexpr uint32_t kPortUnsealed = 2;     // memif: takes regions that are not sealed; vhost-user: memory on hugetlbfs
inline constexpr uint32_t kPortKernelHears = 4;  // reported of uplinks: the node's kernel gets their frames too
inline constexpr size_t kMaxPortAddresses = 8;

// The dataplane's side of a memif: a server lends nothing and takes the pod's memory, a
// client connects to the pod's socket and gives memory of its own.
enum class MemifRole : uint8_t { server = 0, client = 1 };
enum class MemifMode : uint8_t { ethernet = 0, ip = 1 };  // what a frame starts with

// Who makes a vhost-user port's socket: a server listens for the pod's front-end, a client
// connects to the socket that the front-end made. The dataplane is the back-end in both.
enum class VhostRole : uint8_t { server = 0, client = 1 };

struct PortKey {
  uint64_t key = 0;
};

struct PortConfig {
  uint64_t key = 0;  // chosen by control, never 0, stable across restarts of both sides
  PortKind kind = PortKind::none;
  uint8_t address_count = 0;
  uint16_t mtu = 0;  // L3 bytes, 68..65535; 1280 at least where an IPv6 address is leased
  uint32_t flags = 0;
  MacAddress mac;    // of the pod's side; no frame carries it on a memif in IP mode
  MemifRole memif_role = MemifRole::server;
  MemifMode memif_mode = MemifMode::ethernet;
  std::array<char, 64> name{};         // "namespace/pod" or any text; for people
  std::array<char, 16> ifname{};       // interface name in the pod
  std::array<char, 108> socket_path{}; // memif and vhost-user: absolute, in the run dir's pods/
  IpAddress gateway4;  // answers ARP and echo with kGatewayMac; none = no IPv4
  IpAddress gateway6;  // answers ND and echo (fe80::1 always answers too); none = no IPv6
  std::array<IpAddress, kMaxPortAddresses> addresses{};  // the lease
  // memif only; 0 = default
  uint8_t memif_log2_ring = 0;  // 5..14, default 10
  uint8_t memif_queues = 0;     // 1..16 per direction, default 1
  uint16_t memif_buffer = 0;    // bytes, default 2048
  uint32_t socket_mode = 0;     // permission bits of the socket, default 0660
  uint32_t socket_uid = 0;      // owner, default root
  uint32_t socket_gid = 0;
  std::array<char, 24> secret{};  // memif: empty = none
  VhostRole vhost_role = VhostRole::server;
  uint8_t vhost_queues = 0;  // pairs of rings, 1..8, default 1
  std::array<uint8_t, 2> reserved{};
};

// An uplink: a port on a device of DPDK, with neighbours that are resolved.
struct UplinkConfig {
  uint64_t key = 0;   // as PortConfig's
  uint16_t mtu = 0;   // L3 bytes, at most the device's; 0 = the device's
  uint16_t queues = 0;  // of the device that are used at most, in each direction; 0 = one a worker
  uint8_t length4 = 0;  // of the network behind address4: 0..32
  uint8_t length6 = 0;
  std::array<uint8_t, 2> reserved{};
  IpAddress address4;  // the uplink's own; none = no IPv4. Neighbours are in their network.
  IpAddress address6;
  std::array<char, 64> name{};      // for people
  std::array<char, 128> devargs{};  // DPDK's: "net_af_packet0,iface=eth1", "0000:01:00.0"
};

enum class NeighborPhase : uint8_t {
  incomplete = 0,  // asked for, not answered yet
  reachable = 1,
  probing = 2,     // asked again whether it is still there; used meanwhile
  failed = 3,      // did not answer: packets to it are refused
};

struct NeighborState {
  IpAddress address;
  NeighborPhase phase = NeighborPhase::incomplete;
  uint8_t gateway = 0;  // 1: routes lead to it
  MacAddress mac;       // zero while it is not known
  uint32_t held = 0;    // packets that wait for its answer
  uint64_t port_key = 0;
  uint64_t age_ns = 0;  // since it confirmed its address; 0: never
};

// Policers of one port: rates in bit/s of whole frames, bursts in bits; a rate of 0 = no
// limit. rx is what the port sends to weir, tx what it gets. They go with the port, also
// when a port_set has to make it anew.
struct PortLimits {
  uint64_t key = 0;
  uint64_t rx_rate = 0;
  uint64_t rx_burst = 0;  // at least one frame of the largest size is let through
  uint64_t tx_rate = 0;
  uint64_t tx_burst = 0;

  bool any() const noexcept { return rx_rate != 0 || tx_rate != 0; }
};

struct PortCounters {
  uint64_t rx_packets = 0;
  uint64_t rx_bytes = 0;
  uint64_t tx_packets = 0;
  uint64_t tx_bytes = 0;
  uint64_t drops = 0;  // packets received here that were dropped anywhere
};

enum class LinkState : uint8_t { down = 0, up = 1, quarantined = 2 };

inline constexpr size_t kMaxMemifRings = 16;

struct MemifRing {
  uint16_t size = 0;       // descriptors
  uint16_t fill = 0;       // that hold packets which their reader did not give back yet
  uint8_t interrupts = 0;  // 1: the reader asks for interrupts, 0: it polls
  std::array<uint8_t, 3> reserved{};
  uint64_t packets = 0;  // through it since the peer connected
};

// A memif's or vhost-user port's connection; what belongs to a peer is zero while there is none.
struct MemifState {
  uint32_t peer_pid = 0;
  uint32_t peer_uid = 0;
  uint32_t peer_gid = 0;
  uint32_t regions = 0;
  uint64_t region_bytes = 0;
  uint64_t connections = 0;            // since the port was made
  std::array<char, 32> interface{};    // what a memif's peer calls its end
  std::array<char, 96> last_end{};     // why the last connection ended, or did not come about
  uint8_t rx_rings = 0;
  uint8_t tx_rings = 0;
  std::array<uint8_t, 6> reserved{};
  std::array<MemifRing, kMaxMemifRings> rx{};  // what the dataplane reads
  std::array<MemifRing, kMaxMemifRings> tx{};
};

// An uplink's device; its own counts, since it was started.
struct UplinkState {
  std::array<char, 128> devargs{};
  std::array<char, 32> driver{};
  uint32_t speed_mbps = 0;  // 0: not known
  uint16_t rx_queues = 0;
  uint16_t tx_queues = 0;
  uint64_t rx_missed = 0;   // frames that no descriptor was free for
  uint64_t rx_errors = 0;
  uint64_t rx_no_buffer = 0;
  uint64_t tx_errors = 0;
};

struct PortState {
  PortConfig config;
  uint32_t index = 0;   // dataplane's own number, reused after deletion
  uint32_t worker = 0;  // that polls it
  LinkState link = LinkState::down;
  std::array<uint8_t, 7> reserved{};
  PortCounters counters;
  std::array<char, 64> detail{};     // why down or quarantined
  std::array<char, 64> peer_name{};  // memif: the name of the peer's program
  MemifState memif;
  PortLimits limits;
  uint64_t vhost_features = 0;  // virtio's bits, as negotiated; 0 while no driver is there
  UplinkState uplink;
};

enum class RouteKind : uint8_t {
  none = 0,
  blackhole = 1,    // dropped in silence
  unreachable = 2,  // ICMP 3/1, ICMPv6 1/0 (RFC 792, RFC 4443)
  port = 3,         // to the port with port_key, addressed to its pod MAC
  gateway = 4,      // to the port whose lease holds `gateway`; re-resolved as ports come and go
  local = 5,        // reported only: a gateway address that the dataplane itself answers for
  service = 6,      // reported only: an address of frontends, before any other route to it
  connected = 7,    // reported only: the network of an uplink's address
  multipath = 8,    // each flow to one of `next_hops`, as gateways; those that answer share it all
};

inline constexpr size_t kMaxNextHops = 8;

struct NextHop {
  IpAddress gateway;
  uint16_t weight = 0;      // its share beside the others', 1..256
  uint8_t unresolved = 0;   // reported: 1 = not there, its flows are with the others
  uint8_t reserved = 0;

  auto operator<=>(const NextHop&) const = default;
};

// Set by control unless kRouteLease, which the dataplane derives from a port: /32 and
// /128 for its leased addresses (kind port) and for its gateway addresses (kind local), from
// an uplink's network (kind connected) and neighbours (kind gateway), and from frontends for
// their addresses (kind service; a route of another kind may stand beside it).
inline constexpr uint32_t kRouteLease = 1;
inline constexpr uint32_t kRouteUnresolved = 2;  // reported: its gateway or port is not there

struct Route {
  IpPrefix prefix;
  RouteKind kind = RouteKind::none;
  uint8_t next_hop_count = 0;  // multipath: 2..kMaxNextHops
  std::array<uint8_t, 2> reserved{};
  uint32_t flags = 0;
  uint64_t port_key = 0;  // reported for a resolved gateway route too: the port it leads to
  IpAddress gateway;
  uint32_t reserved2 = 0;
  std::array<NextHop, kMaxNextHops> next_hops{};
};

struct RouteLookup {
  IpAddress address;
  uint32_t reserved = 0;
};

inline constexpr size_t kMaxStages = 24;

struct StageState {
  std::array<char, 16> name{};
  uint64_t packets = 0;
  uint64_t vectors = 0;
  uint64_t cycles = 0;
};

enum class WorkerMode : uint8_t { polling = 0, sleeping = 1 };

struct WorkerState {
  uint32_t index = 0;
  uint32_t core = 0;
  int32_t numa_node = -1;
  uint32_t ports = 0;
  WorkerMode mode = WorkerMode::polling;
  uint8_t stage_count = 0;
  std::array<uint8_t, 6> reserved{};
  uint64_t sweeps = 0;
  uint64_t vectors = 0;
  uint64_t packets = 0;
  uint64_t busy_cycles = 0;  // in sweeps that found packets
  uint64_t sleeps = 0;
  uint64_t handoffs = 0;     // packets passed to another worker's port
  std::array<StageState, kMaxStages> stages{};
};

struct DropCounter {
  std::array<char, 40> name{};  // "<stage>_<reason>"
  std::array<char, 96> text{};
  uint64_t packets = 0;
};

struct TraceFilter {
  uint64_t port_key = 0;  // 0 = any
  uint32_t packets = 0;   // stop after so many, 1..1000; 0 stops the trace
  uint8_t drops_only = 0;
  std::array<uint8_t, 3> reserved{};
};

// One step of one packet.
struct TraceRecord {
  uint64_t packet = 0;  // number of the packet in its worker's trace
  uint64_t nanoseconds = 0;  // CLOCK_MONOTONIC
  uint32_t worker = 0;
  uint16_t step = 0;    // 0 = as received
  uint16_t head_length = 0;
  uint32_t length = 0;  // frame bytes
  uint32_t reserved = 0;
  uint64_t in_key = 0;
  uint64_t out_key = 0;            // 0 = not decided yet
  std::array<char, 16> stage{};
  std::array<char, 40> verdict{};  // next stage, or the drop's name
  std::array<uint8_t, 96> head{};  // the frame's first bytes after the step
};

template <class T>
concept Record = std::is_trivially_copyable_v<T> && sizeof(T) % 4 == 0;

static_assert(Record<PortConfig> && Record<PortState> && Record<Route> && Record<WorkerState>);
static_assert(Record<UplinkConfig> && Record<NeighborState>);
static_assert(Record<Backend> && Record<PrefixMember> && Record<Frontend> && Record<FrontendState>);
static_assert(Record<BackendState> && Record<ServiceSettings> && Record<ConnectionState>);

}  // namespace weir::api
