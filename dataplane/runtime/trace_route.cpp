// Dataplane::trace_route: a dry run in the terms of the API.
#include "dataplane/core/tsc.h"
#include "dataplane/nodes/dry_run.h"
#include "dataplane/runtime/dataplane.h"

namespace weir::dataplane {

namespace {

bool is_known(uint8_t protocol, Family family) noexcept {
  return has_ports(protocol) || protocol == (family == Family::ip4 ? kProtoIcmp4 : kProtoIcmp6);
}

IpAddress leased(const api::PortConfig& config, Family family) {
  for (size_t i = 0; i < std::min<size_t>(config.address_count, api::kMaxPortAddresses); ++i) {
    if (config.addresses[i].family == family) return config.addresses[i];
  }
  return {};
}

Result<FlowKey> sent_key(const api::PathQuery& query, const api::PortConfig& from) {
  const IpAddress& to = query.destination.address;
  IpAddress source = query.source.address;
  if (to.is_none()) return {ErrorCode::invalid_argument, "a dry run needs a destination"};
  if (!is_known(query.destination.protocol, to.family)) {
    return {ErrorCode::invalid_argument,
            "a dry run takes TCP, UDP, SCTP, and ICMP echo of the destination's family"};
  }
  if (source.is_none()) source = leased(from, to.family);
  if (source.is_none()) {
    return {ErrorCode::invalid_argument, "port " + api::get_text(from.name) +
                                             " has no address to send to " + to_string(to) +
                                             " from: name the source"};
  }
  if (source.family != to.family) {
    return {ErrorCode::invalid_argument, "source " + to_string(source) + " and destination " +
                                             to_string(to) + " are of different families"};
  }
  FlowKey key{.source = source.bytes,
              .destination = to.bytes,
              .protocol = query.destination.protocol,
              .family = to.family};
  if (!has_ports(key.protocol)) return key;
  key.source_port = __builtin_bswap16(query.source.port);
  key.destination_port = __builtin_bswap16(query.destination.port);
  return key;
}

api::FrontendKey end_of(const FlowKey& key, const Ip6Bytes& address, uint16_t port) {
  return {.address = {.family = key.family, .bytes = address},
          .port = __builtin_bswap16(port),
          .protocol = key.protocol};
}

api::PathTrace in_api_terms(const DryRun& run) {
  const FlowKey& sent = run.sent;
  const FlowKey& leaves = run.leaves;
  const bool ip4 = sent.family == Family::ip4;
  return {.end = run.end,
          .choice = run.choice,
          .icmp_type = ip4 ? run.icmp.type4 : run.icmp.type6,
          .icmp_code = ip4 ? run.icmp.code4 : run.icmp.code6,
          .flags = run.flags,
          .source = end_of(sent, sent.source, sent.source_port),
          .destination = end_of(sent, sent.destination, sent.destination_port),
          .new_source = end_of(leaves, leaves.source, leaves.source_port),
          .new_destination = end_of(leaves, leaves.destination, leaves.destination_port),
          .masquerade_first = run.masquerade_first,
          .masquerade_last = run.masquerade_last,
          .mtu = run.mtu,
          .larger_icmp_type = ip4 ? run.larger.type4 : run.larger.type6,
          .larger_icmp_code = ip4 ? run.larger.code4 : run.larger.code6,
          .next_hop = run.next_hop};
}

void name_drop(api::PathTrace& path, Drop reason) {
  if (reason == Drop::count) return;
  api::set_text(path.drop, info(reason).name);
  api::set_text(path.drop_text, info(reason).text);
}

}  // namespace

Result<api::PathTrace> Dataplane::trace_route(const api::PathQuery& query) {
  const auto from = ports_.find(query.port_key);
  if (!from) return from.error();
  const auto key = sent_key(query, from->config);
  if (!key) return key.error();
  const uint64_t now = tsc();
  StageContext context;
  context.ports = ports_.slots();
  context.fib4 = &fib4_;
  context.fib6 = &fib6_;
  context.adjacencies = &adjacencies_;
  context.connections = &connections_;
  context.services = &services_;
  context.backends = &backends_;
  context.now = now;
  context.ticks = ticks_at(now, tsc_hz());
  const DryRun run = dry_run(*key, static_cast<uint16_t>(from->index), context);
  api::PathTrace path = in_api_terms(run);
  name_drop(path, run.drop);
  if (const auto route = routes_.lookup(path.new_destination.address)) path.route = *route;
  if (run.frontend != nullptr) {
    if (const api::Frontend* config = services_.config(*run.frontend)) path.frontend = *config;
  }
  if (run.out_port == DryRun::kNoPort) return path;
  path.out_key = ports_.key_of(run.out_port);
  // Whether a peer is there is known to the port alone, and asked last on the packet's way.
  const auto out = ports_.find(path.out_key);
  if (run.end == api::PathEnd::delivered && out && out->link != api::LinkState::up) {
    path.end = api::PathEnd::dropped;
    name_drop(path, Drop::tx_port_down);
  }
  return path;
}

}  // namespace weir::dataplane
