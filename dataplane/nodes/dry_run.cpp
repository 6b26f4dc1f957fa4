#include "dataplane/nodes/dry_run.h"

#include "dataplane/nodes/connection.h"
#include "dataplane/nodes/local.h"
#include "dataplane/nodes/masquerade.h"
#include "dataplane/nodes/mtu.h"
#include "dataplane/nodes/parse.h"
#include "dataplane/nodes/rewrite.h"
#include "dataplane/nodes/route.h"
#include "dataplane/nodes/service.h"
#include "dataplane/nodes/source_check.h"

namespace weir::dataplane {
namespace {

constexpr uint8_t kTtl = 64;

bool is_icmp(uint8_t protocol) noexcept {
  return protocol == kProtoIcmp4 || protocol == kProtoIcmp6;
}

uint16_t l4_length(uint8_t protocol) noexcept {
  if (protocol == kProtoTcp) return sizeof(TcpHeader);
  if (protocol == kProtoSctp) return kSctpHeaderLength;
  return sizeof(UdpHeader);  // ICMP's is as long
}

void write_l4(std::byte* l4, const FlowKey& key) noexcept {
  if (is_icmp(key.protocol)) {
    const bool ip4 = key.protocol == kProtoIcmp4;
    reinterpret_cast<IcmpHeader*>(l4)->type = ip4 ? kIcmp4Echo : kIcmp6Echo;
    return;
  }
  store(l4, ports_word(key));
  if (key.protocol == kProtoUdp) {
    reinterpret_cast<UdpHeader*>(l4)->length.set(sizeof(UdpHeader));
  } else if (key.protocol == kProtoTcp) {
    auto* tcp = reinterpret_cast<TcpHeader*>(l4);
    tcp->data_offset = 5 << 4;
    tcp->flags = kTcpSyn;
  }
}

std::byte* write_ip4(std::byte* l3, const FlowKey& key) noexcept {
  auto* ip = reinterpret_cast<Ip4Header*>(l3);
  ip->version_ihl = 0x45;
  ip->total_length.set(static_cast<uint16_t>(sizeof *ip + l4_length(key.protocol)));
  ip->ttl = kTtl;
  ip->protocol = key.protocol;
  store(&ip->source, load<uint32_t>(key.source.data()));
  store(&ip->destination, load<uint32_t>(key.destination.data()));
  ip->checksum.set_wire(header_checksum(*ip));
  return l3 + sizeof *ip;
}

std::byte* write_ip6(std::byte* l3, const FlowKey& key) noexcept {
  auto* ip = reinterpret_cast<Ip6Header*>(l3);
  ip->version_class_flow.raw[0] = 0x60;
  ip->payload_length.set(l4_length(key.protocol));
  ip->next_header = key.protocol;
  ip->hop_limit = kTtl;
  ip->source = key.source;
  ip->destination = key.destination;
  return l3 + sizeof *ip;
}

void write_frame(Packet& packet, const FlowKey& key, const PortInfo& port) noexcept {
  std::memset(packet.data(), 0, kHeadSize);
  auto* ethernet = reinterpret_cast<EthernetHeader*>(packet.data());
  store_mac(ethernet->destination, kGatewayMacBits);
  ethernet->source = port.mac;
  const bool ip4 = key.family == Family::ip4;
  ethernet->ethertype.set(ip4 ? kEtherIp4 : kEtherIp6);
  std::byte* l3 = packet.data() + sizeof *ethernet;
  std::byte* l4 = ip4 ? write_ip4(l3, key) : write_ip6(l3, key);
  write_l4(l4, key);
  packet.length = static_cast<uint32_t>(l4 + l4_length(key.protocol) - packet.data());
  packet.head_length = static_cast<uint16_t>(packet.length);
}

class Runner {
 public:
  Runner(DryRun& run, const StageContext& context, uint16_t in_port) noexcept
      : run_(run), context_(context) {
    packet_.in_port = in_port;
    context_.packets = &packet_;
  }

  void go() noexcept {
    const PortInfo* port = context_.port(packet_.in_port);
    if (port == nullptr) return end(drop(packet_, Drop::source_port_gone));
    write_frame(packet_, run_.sent, *port);
    Next next = Parse::classify(packet_, context_);
    if (next == Next::source_check) next = SourceCheck::check(packet_, *port);
    if (next == Next::route) next = connection();
    if (next == Next::route) next = route();
    if (next == Next::service) next = service();
    if (next == Next::rewrite) next = Rewrite::classify(packet_, context_);
    if (next == Next::mtu) next = mtu();
    if (next == Next::masquerade) next = masquerade();
    end(next);
  }

 private:
  Next connection() noexcept;
  Next route() noexcept;
  Next service() noexcept;
  Next mtu() noexcept;
  Next masquerade() noexcept;
  Drop open(NewConnection& wanted) noexcept;
  void end(Next next) noexcept;
  void note_ports(const NewConnection& wanted) noexcept;

  DryRun& run_;
  StageContext context_;
  Packet packet_;
};

// A connection that the packet would move to another backend counts as new.
Next Runner::connection() noexcept {
  const auto key = tracked_key_of(packet_);
  if (!key || context_.connections->empty()) return Next::route;
  const auto match = context_.connections->find(*key, context_.connections->hash(*key));
  if (!match) return Next::route;
  const Connection& connection = *match.connection;
  const bool forward = match.direction == Direction::forward;
  if (ConnectionStage::must_repick(connection, match.direction, packet_.l4_protocol,
                                   tcp_flags_of(packet_), context_))
    return Next::route;
  if (connection.backend_id != kNoBackend) run_.choice = api::PathChoice::connection;
  run_.frontend = context_.services->find(connection.key());
  if (!forward) run_.flags |= api::kPathReply;
  if (connection.masqueraded()) run_.flags |= api::kPathMasqueraded;
  return translate_as(packet_, headers_of(packet_), connection, match.direction, context_);
}

Next Runner::route() noexcept {
  constexpr std::array<uint8_t, 1> kOnly{0};
  Route::prepare(&packet_, kOnly, context_);
  return Route::classify(packet_, context_);
}

Next Runner::service() noexcept {
  ServicePick pick;
  const Next next = ServiceStage::choose(packet_, context_, pick);
  run_.frontend = pick.frontend;
  if (pick.inside) run_.flags |= api::kPathInside;
  if (next != Next::service) return next == Next::route ? route() : next;
  run_.choice = pick.affinity ? api::PathChoice::affinity : api::PathChoice::hash;
  const Drop refused = open(pick.wanted);
  return refused == Drop::count ? route() : drop(packet_, refused);
}

// Drop::count, or what refuses it.
Drop Runner::open(NewConnection& wanted) noexcept {
  FlowKey reverse;
  const Drop refused = ServiceStage::preview(wanted, context_, reverse);
  if (refused != Drop::count) return refused;
  note_ports(wanted);
  translate(packet_, FlowKey{.source = reverse.destination,
                             .destination = reverse.source,
                             .source_port = reverse.destination_port,
                             .destination_port = reverse.source_port});
  packet_.translated = true;
  return Drop::count;
}

void Runner::note_ports(const NewConnection& wanted) noexcept {
  if (wanted.masquerade_first == 0) return;
  run_.flags |= api::kPathMasqueraded;
  run_.masquerade_first = wanted.masquerade_first;
  run_.masquerade_last = wanted.masquerade_last;
}

// Of a packet one byte too long, with and without leave to cut it.
Next Runner::mtu() noexcept {
  const PortInfo* port = context_.port(packet_.out_port);
  if (port == nullptr) return drop(packet_, Drop::tx_port_gone);
  run_.out_port = packet_.out_port;
  run_.mtu = port->mtu;
  store_mac(run_.next_hop, packet_.adjacency & 0xffff'ffff'ffff);
  Packet larger = packet_;
  larger.length = packet_.l3_offset + port->mtu + 1U;
  if (Mtu::check(larger, *port) == Next::tx) run_.flags |= api::kPathLargerIsCut;
  if (packet_.family == Family::ip4) larger.l3<Ip4Header>().fragment.set(kIp4DontFragment);
  static_cast<void>(Mtu::check(larger, *port));
  run_.larger = larger.icmp;
  const Next next = Mtu::check(packet_, *port);
  return next == Next::tx ? Mtu::leave(packet_, *port, context_) : next;
}

Next Runner::masquerade() noexcept {
  NewConnection wanted;
  const Next next = Masquerade::choose(packet_, context_, wanted);
  if (next != Next::masquerade) return next;
  if (packet_.from_uplink) return Next::tx;
  const Drop refused = open(wanted);
  return refused == Drop::count ? Next::tx : drop(packet_, refused);
}

void Runner::end(Next next) noexcept {
  run_.leaves = {.family = run_.sent.family};
  if (packet_.family != Family::none) {
    if (has_ports(packet_)) run_.leaves = key_of(packet_);
    set_addresses(run_.leaves, packet_.data() + packet_.l3_offset);
    run_.leaves.protocol = packet_.l4_protocol;
  }
  if (next == Next::local) {
    next = Local::classify(packet_, context_);
    if (next == Next::route) run_.end = api::PathEnd::answered;
  }
  if (next == Next::tx) run_.end = api::PathEnd::delivered;
  if (next == Next::icmp_error) run_.end = api::PathEnd::rejected;
  run_.drop = packet_.drop;
  run_.icmp = packet_.icmp;
}

}  // namespace

DryRun dry_run(const FlowKey& sent, uint16_t in_port, const StageContext& context) noexcept {
  DryRun run{.sent = sent};
  Runner(run, context, in_port).go();
  return run;
}

}  // namespace weir::dataplane
