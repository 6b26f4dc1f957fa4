#include "dataplane/runtime/uplinks.h"

#include <algorithm>
#include <thread>

#include "dataplane/core/headers.h"
#include "dataplane/tables/address_checks.h"

namespace weir::dataplane {

namespace {

constexpr auto kWatchLinks = std::chrono::milliseconds(50);
constexpr auto kClosePatience = std::chrono::seconds(1);  // workers pass quiescent points within microseconds
constexpr uint16_t kLeastMtu4 = 68;    // RFC 791
constexpr uint16_t kLeastMtu6 = 1280;  // RFC 8200 5

bool same_device(const api::UplinkConfig& a, const api::UplinkConfig& b) {
  return a.devargs == b.devargs && a.mtu == b.mtu && a.queues == b.queues;
}

Status check_address(IpAddress address, Family family, uint8_t length) {
  if (address.is_none()) return {};
  if (address.family != family || !normalize(address) || !is_unicast(address) || length > address.bits()) {
    return {ErrorCode::invalid_argument, "an uplink's address is not unicast or its network's length is wrong"};
  }
  return {};
}

Status check(const api::UplinkConfig& config) {
  if (config.key == 0) return {ErrorCode::invalid_argument, "an uplink's key must not be 0"};
  if (config.devargs[0] == 0) return {ErrorCode::invalid_argument, "an uplink needs devargs"};
  const Status status = check_address(config.address4, Family::ip4, config.length4);
  return status ? check_address(config.address6, Family::ip6, config.length6) : status;
}

Status check_mtu(const api::UplinkConfig& config, uint16_t mtu) {
  const uint16_t least = config.address6.is_none() ? kLeastMtu4 : kLeastMtu6;
  if (mtu >= least) return {};
  return {ErrorCode::invalid_argument, "an uplink's MTU must be " + std::to_string(least) +
                                           " at least (RFC 791, RFC 8200), but is " + std::to_string(mtu)};
}

api::PortConfig port_config(const api::UplinkConfig& config, const uplink::UplinkPort& port) {
  return {.key = config.key,
          .kind = api::PortKind::uplink,
          .mtu = port.mtu(),
          .flags = api::kPortTrusted | (port.kernel_hears() ? api::kPortKernelHears : 0),
          .mac = port.mac(),
          .name = config.name,
          .gateway4 = config.address4,
          .gateway6 = config.address6};
}

std::vector<IpPrefix> networks(const api::UplinkConfig& config) {
  std::vector<IpPrefix> all;
  for (const auto& [address, length] : {std::pair(config.address4, config.length4), std::pair(config.address6, config.length6)}) {
    // A network of one address has no neighbours, and its route is the address's own.
    if (!address.is_none() && length < address.bits()) all.push_back(make_prefix(address, length));
  }
  return all;
}

IpAddress destination_of(const Packet& packet) {
  if (packet.family == Family::ip6) return ip6_address(packet.l3<Ip6Header>().destination);
  return ip4_address(packet.l3<Ip4Header>().destination.host());
}

}  // namespace

Result<api::PortState> Uplinks::set(const api::UplinkConfig& config, uint64_t generation) {
  if (const Status status = check(config); !status) return status.error();
  const auto found = uplinks_.find(config.key);
  if (found != uplinks_.end() && same_device(found->second.config, config)) {
    return change(found->second, config, generation);
  }
  if (found != uplinks_.end()) {
    ports_.remove(config.key);
    const auto end = NeighborTable::Clock::now() + kClosePatience;
    while (rcu_.reclaim() > 0 && NeighborTable::Clock::now() < end) std::this_thread::yield();
  }
  return open(config, generation);
}

Result<api::PortState> Uplinks::open(const api::UplinkConfig& config, uint64_t generation) {
  auto port = uplink::UplinkPort::open(config, static_cast<uint32_t>(workers_.size()));
  if (!port) return port.error();
  if (const Status status = check_mtu(config, (*port)->mtu()); !status) return status.error();
  uplink::UplinkPort* raw = port->get();
  raw->on_close([this, key = config.key] { close(key); });
  const api::PortConfig as_port = port_config(config, *raw);
  auto state = ports_.place(as_port, *std::move(port), generation);
  if (!state) return state;
  uplinks_[config.key] = {config, raw, static_cast<uint16_t>(state->index), workers_[state->worker]};
  if (const Status status = connect(config); !status) {
    ports_.remove(config.key);
    return status.error();
  }
  return state;
}

Result<api::PortState> Uplinks::change(Uplink& uplink, const api::UplinkConfig& config, uint64_t generation) {
  if (const Status status = check_mtu(config, uplink.port->mtu()); !status) return status.error();
  const bool moved = uplink.config.address4 != config.address4 || uplink.config.address6 != config.address6 ||
                     uplink.config.length4 != config.length4 || uplink.config.length6 != config.length6;
  auto state = ports_.place(port_config(config, *uplink.port), nullptr, generation);
  if (!state || !moved) return state;
  table_.forget_port(config.key);
  if (const Status status = connect(config); !status) return status.error();
  uplink.config = config;
  return state;
}

Status Uplinks::connect(const api::UplinkConfig& config) { return routes_.connect(config.key, networks(config)); }

// The registry took the port away.
void Uplinks::close(uint64_t key) {
  table_.forget_port(key);
  uplinks_.erase(key);
}

void Uplinks::poll(NeighborTable::Time now) {
  if (uplinks_.empty()) return;
  for (Worker* worker : workers_) {
    worker->read_punted([&](const Packet& packet, uint64_t word) { read(packet, word, now); });
  }
  sync_gateways(now);
  watch_links(now);
  table_.tick(now);
  for (Worker* worker : workers_) worker->send_injected();
}

void Uplinks::read(const Packet& packet, uint64_t word, NeighborTable::Time now) {
  if (Adjacency::unpack(word).kind == AdjacencyKind::resolve) return hold(packet, word, now);
  if (const auto said = read_announcement(packet)) table_.hear(ports_.key_of(packet.in_port), *said, now);
}

void Uplinks::hold(const Packet& packet, uint64_t word, NeighborTable::Time now) {
  const auto next_hop = routes_.waits_for(word, destination_of(packet));
  const uint64_t key = next_hop ? routes_.uplink_of(*next_hop) : 0;
  if (key == 0) return drop(packet, Drop::neighbor_gone);
  table_.hold(key, *next_hop, packet, now);
}

void Uplinks::sync_gateways(NeighborTable::Time now) {
  if (gateways_seen_ == routes_.gateways_version()) return;
  std::vector<std::pair<IpAddress, uint64_t>> gateways;
  for (const IpAddress& gateway : routes_.gateways()) gateways.emplace_back(gateway, routes_.uplink_of(gateway));
  table_.set_gateways(gateways, now);
  gateways_seen_ = routes_.gateways_version();
}

void Uplinks::watch_links(NeighborTable::Time now) {
  if (now < next_watch_) return;
  next_watch_ = now + kWatchLinks;
  for (auto& [key, uplink] : uplinks_) {
    if (uplink.port->watch_link()) table_.link_changed(key, uplink.port->link_up(), now);
  }
}

void Uplinks::ask(uint64_t port, const IpAddress& address, const MacAddress* known) {
  const auto found = uplinks_.find(port);
  if (found == uplinks_.end()) return;
  const Uplink& uplink = found->second;
  Packet question;
  make_question({uplink.port->mac(), uplink.config.address4, uplink.config.address6}, address, known, question);
  question.in_port = question.out_port = uplink.index;
  // Without room it is asked again later.
  static_cast<void>(uplink.owner->inject(question, port));
}

void Uplinks::changed(uint64_t port, const IpAddress& address, api::NeighborPhase phase, const MacAddress& mac) {
  const auto found = uplinks_.find(port);
  if (found == uplinks_.end()) return;
  Adjacency adjacency{.kind = AdjacencyKind::port, .port = found->second.index, .mac = mac};
  if (phase == api::NeighborPhase::incomplete) adjacency = {.kind = AdjacencyKind::resolve};
  if (phase == api::NeighborPhase::failed) adjacency = {.kind = AdjacencyKind::unresolved};
  // Without room for its route the neighbour's packets come here again.
  static_cast<void>(routes_.neighbor_set(address, adjacency));
}

void Uplinks::resume(HeldPacket& held) {
  const Packet& packet = held.view();
  if (ports_.key_of(packet.in_port) == 0) return;
  if (!workers_.front()->inject(packet, 0)) drop(packet, Drop::neighbor_queue_full);
}

}  // namespace weir::dataplane
