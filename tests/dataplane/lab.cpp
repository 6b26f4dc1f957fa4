#include "tests/dataplane/lab.h"

#include <algorithm>

namespace weir::dataplane::test {
namespace {

api::PortConfig pod(uint16_t index, uint8_t number, uint16_t mtu) {
  api::PortConfig config;
  config.key = index;
  config.kind = api::PortKind::memif;
  config.mtu = mtu;
  config.mac = MacAddress{{2, 0, 0, 0, 0, static_cast<uint8_t>(8 + number)}};
  config.gateway4 = *parse_address("10.1.0.1");
  config.gateway6 = *parse_address("fd00::1");
  config.address_count = 2;
  config.addresses[0] = *parse_address("10.1.0." + std::to_string(number));
  config.addresses[1] = *parse_address("fd00::" + std::to_string(number));
  return config;
}

Adjacency to(uint16_t port, const MacAddress& address) {
  return {.kind = AdjacencyKind::port, .port = port, .mac = address};
}

}  // namespace

Bytes bytes_of(const Packet& packet) {
  const auto* head = reinterpret_cast<const uint8_t*>(packet.data());
  Bytes bytes(head, head + packet.head_length);
  for (uint16_t i = 0; i < packet.body_count; ++i) {
    const auto* data = reinterpret_cast<const uint8_t*>(packet.body[i].data);
    bytes.insert(bytes.end(), data, data + packet.body[i].length);
  }
  return bytes;
}

Lab::Lab(uint32_t connections) : connections_(rcu_, backends_, {.capacity = connections}) {
  add_port(kPodA, make_port_info(pod(kPodA, 2, 1500)));
  add_port(kPodB, make_port_info(pod(kPodB, 3, 1400)));
  api::PortConfig host = pod(kHost, 5, 1500);
  host.kind = api::PortKind::host;
  host.flags = api::kPortTrusted;
  host.address_count = 0;
  add_port(kHost, make_port_info(host));
  api::PortConfig mute = pod(kPodC, 4, 1500);
  mute.gateway4 = mute.gateway6 = {};
  add_port(kPodC, make_port_info(mute));
  add_uplink();

  for (const uint16_t port : {kPodA, kPodB, kPodC}) {
    const std::string number = std::to_string(port == kPodC ? 4 : port + 1);
    add_route("10.1.0." + number, to(port, infos_[port].mac));
    add_route("fd00::" + number, to(port, infos_[port].mac));
  }
  for (const auto* prefix : {"192.0.2.0/24", "2001:db8::/32"})
    add_route(prefix, to(kHost, host.mac));
  for (const auto* prefix : {"10.5.0.0/16", "fd00:5::/32"}) add_route(prefix, to(kGone, host.mac));
  // As the route table does for each port's gateway, and for one that no port has.
  for (const auto* prefix : {"10.1.0.1", "fd00::1", "10.6.0.1", "fd00:6::1"})
    add_route(prefix, {.kind = AdjacencyKind::local});
  for (const auto* prefix : {"10.7.0.0/16", "fd00:7::/32"}) {
    add_route(prefix, {.kind = AdjacencyKind::unresolved});
  }
  for (const auto* prefix : {"10.8.0.0/16", "fd00:8::/32"}) {
    add_route(prefix, {.kind = AdjacencyKind::unreachable});
  }
  for (const auto* prefix : {"10.9.0.0/16", "fd00:9::/32"}) {
    add_route(prefix, {.kind = AdjacencyKind::blackhole});
  }
  // Before anything is published in it, the gone port still counts.
  slots_[kGone].counters = &port_counters_[kGone];

  context_.ports = slots_.data();
  context_.fib4 = &fib4_;
  context_.fib6 = &fib6_;
  context_.adjacencies = &adjacencies_;
  context_.icmp_buckets = buckets_.data();
  context_.icmp_error_cost = icmp_error_cost(kLabTscHz);
  context_.now = 100 * kLabTscHz;
  context_.scratch = scratch_.data();
  context_.segments = segments_.data();
  context_.packets = vector_->packets.data();
  context_.connections = &connections_;
  context_.services = &services_;
  context_.backends = &backends_;
  context_.fragments = fragments_.get();
  context_.ticks = 1000;
}

void Lab::add_uplink() {
  api::PortConfig uplink = pod(kUplink, 6, 1500);
  uplink.kind = api::PortKind::uplink;
  uplink.flags = api::kPortTrusted;
  uplink.address_count = 0;
  uplink.gateway4 = *parse_address("203.0.113.1");
  uplink.gateway6 = *parse_address("2001:db8:51::1");
  add_port(kUplink, make_port_info(uplink));
  for (const auto* prefix : {"203.0.113.0/24", "2001:db8:51::/48"})
    add_route(prefix, to(kUplink, MacAddress{{2, 0, 0, 0, 0, 0x0f}}));
  for (const auto* prefix : {"203.0.113.1", "2001:db8:51::1"})
    add_route(prefix, {.kind = AdjacencyKind::local});
}

void Lab::add_port(uint16_t index, const PortInfo& info) {
  infos_[index] = info;
  slots_[index].counters = &port_counters_[index];
  slots_[index].info = &infos_[index];
}

void Lab::add_route(std::string_view prefix_text, const Adjacency& adjacency) {
  const IpPrefix prefix = parse_prefix(prefix_text).value();
  routes_[prefix] = *adjacencies_.allocate(adjacency);
  set_route(prefix, routes_[prefix]);
}

// What was routed there before stays beneath.
Status Lab::frontend_address_added(const IpAddress& address) {
  connections_.prepare();
  const IpPrefix prefix = make_prefix(address, address.bits());
  const auto under = routes_.find(prefix);
  set_route(prefix, *adjacencies_.allocate({.kind = AdjacencyKind::service,
                                            .under = under != routes_.end() ? under->second : 0}));
  return {};
}

void Lab::frontend_address_removed(const IpAddress& address) {
  const IpPrefix prefix = make_prefix(address, address.bits());
  const auto under = routes_.find(prefix);
  set_route(prefix, under != routes_.end() ? under->second : 0);
}

void Lab::set_route(const IpPrefix& prefix, uint32_t index) {
  Status status;
  if (prefix.address.is_ip4()) {
    Fib4::Key key;
    std::copy_n(prefix.address.bytes.begin(), key.size(), key.begin());
    status = fib4_.set(key, prefix.length, index);
  } else {
    status = fib6_.set(prefix.address.bytes, prefix.length, index);
  }
  if (!status) throw std::runtime_error(status.error().text);
}

void Lab::empty_icmp_bucket(uint16_t port) { buckets_[port] = {.last = context_.now, .credit = 0}; }

void Lab::police(uint16_t port, const api::PortLimits& limits) {
  policers_[port] = std::make_unique<PortPolicers>(limits, kLabTscHz);
  set_policers(infos_[port], policers_[port].get());
}

void Lab::fill(Packet& packet, const Bytes& frame, size_t piece) {
  const size_t head = std::min<size_t>(frame.size(), kHeadSize);
  packet.length = static_cast<uint32_t>(frame.size());
  packet.head_offset = kHeadroom;
  packet.head_length = static_cast<uint16_t>(head);
  packet.offload = {};
  std::copy_n(reinterpret_cast<const std::byte*>(frame.data()), head, packet.data());
  std::vector<Segment>& segments = body_segments_.emplace_back();
  piece = std::max(piece, (frame.size() - head + kMaxSegments - 1) / kMaxSegments);
  for (size_t at = head; at < frame.size(); at += piece) {
    const size_t length = std::min(piece, frame.size() - at);
    auto& block = bodies_.emplace_back(std::make_unique<std::byte[]>(length));
    std::memcpy(block.get(), frame.data() + at, length);
    segments.push_back({block.get(), static_cast<uint32_t>(length)});
  }
  packet.body = segments.data();
  packet.body_count = static_cast<uint16_t>(segments.size());
}

Outcome Lab::run(const Bytes& frame, uint16_t in, const Offload& offload, TraceSink* trace) {
  bodies_.clear();
  body_segments_.clear();
  body_segments_.reserve(1);
  const auto drops_of = [&](uint16_t port, size_t reason) {
    return port_counters_[port].drops[reason].get();
  };
  std::map<size_t, uint64_t> start;
  for (size_t r = 0; r < kDropCount; ++r) start[r] = drops_of(in, r);

  Packet& packet = vector_->packets[0];
  fill(packet, frame);
  packet.in_port = in;
  packet.offload = offload;
  vector_->start(1);
  if (trace != nullptr) {
    run_pipeline<true>(*vector_, context_, counters_, trace);
  } else {
    run_pipeline<false>(*vector_, context_, counters_, nullptr);
  }
  Outcome outcome;
  StageQueue& tx = vector_->queue(Next::tx);
  outcome.settled = tx.count + vector_->queue(Next::drop).count == 1;
  if (tx.count == 1) send(packet, outcome);
  tx.count = 0;
  settle(*vector_, context_);
  for (size_t r = 0; r < kDropCount; ++r) {
    if (const uint64_t n = drops_of(in, r) - start[r]; n != 0)
      outcome.drops[static_cast<Drop>(r)] = n;
  }
  return outcome;
}

void Lab::send(Packet& packet, Outcome& outcome) {
  outcome.out_port = packet.out_port;
  const Drop verdict = for_each_piece(packet, false, pieces_, [&](Packet& piece) {
    outcome.frames.push_back(bytes_of(piece));
    return true;
  });
  if (verdict == Drop::count) return;
  packet.drop = verdict;
  count_drop(packet, context_);
}

}  // namespace weir::dataplane::test
