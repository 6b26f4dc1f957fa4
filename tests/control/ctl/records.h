// Records that weirctl's tests share: two pods, a host port, and what they do.
#pragma once

#include <string_view>

#include "dataplane/api/codec.h"
#include "dataplane/api/path.h"

namespace weir::test {

inline constexpr uint64_t kBigKey = 18'000'000'000'000'000'001U;  // > 2^53

inline api::PortState port_record(uint64_t key, std::string_view name, std::string_view address) {
  api::PortState port;
  port.config.key = key;
  port.config.kind = api::PortKind::kernel;
  port.config.mtu = 1500;
  port.config.mac = *parse_mac("02:00:00:00:00:07");
  port.config.gateway4 = *parse_address("10.244.0.1");
  port.config.address_count = 1;
  port.config.addresses[0] = *parse_address(address);
  api::set_text(port.config.name, name);
  api::set_text(port.config.ifname, "eth0");
  port.link = api::LinkState::up;
  port.counters = {
      .rx_packets = 12, .rx_bytes = 1200, .tx_packets = 9, .tx_bytes = 900, .drops = 3};
  return port;
}

inline api::Route route_record(std::string_view prefix, api::RouteKind kind, uint64_t key = 0) {
  api::Route route;
  route.prefix = *parse_prefix(prefix);
  route.kind = kind;
  route.port_key = key;
  return route;
}

inline api::DropCounter drop_record(std::string_view name, uint64_t packets) {
  api::DropCounter drop;
  api::set_text(drop.name, name);
  api::set_text(drop.text, "because of a test");
  drop.packets = packets;
  return drop;
}

inline api::ConnectionState connection_record(uint64_t port) {
  const auto end = [](std::string_view address, uint16_t number) {
    return api::FrontendKey{.address = *parse_address(address), .port = number, .protocol = 17};
  };
  return {.client = end("10.244.0.5", 4000),
          .frontend = end("10.96.0.10", 53),
          .backend = end("10.244.0.6", 5353),
          .masquerade = end("10.244.0.1", 2000),
          .phase = api::ConnectionPhase::open,
          .flags = api::kConnectionMasqueraded,
          .idle_seconds = 3,
          .left_seconds = 177,
          .number = 9,
          .port_key = port};
}

// From port 7 to a service, to a backend behind port 8, masqueraded.
inline api::PathTrace path_record() {
  const auto end = [](std::string_view address, uint16_t number) {
    return api::FrontendKey{.address = *parse_address(address), .port = number, .protocol = 17};
  };
  api::PathTrace path{.end = api::PathEnd::delivered,
                      .choice = api::PathChoice::hash,
                      .flags = api::kPathInside | api::kPathMasqueraded | api::kPathLargerIsCut,
                      .source = end("10.244.0.5", 49152),
                      .destination = end("10.96.0.10", 53),
                      .new_source = end("10.244.0.1", 2000),
                      .new_destination = end("10.244.0.6", 5353),
                      .masquerade_first = 1024,
                      .masquerade_last = 65535,
                      .mtu = 1500,
                      .larger_icmp_type = 3,
                      .larger_icmp_code = 4,
                      .frontend = {.key = end("10.96.0.10", 53), .kind = api::FrontendKind::cluster_ip},
                      .route = route_record("10.244.0.6/32", api::RouteKind::port, 8),
                      .out_key = 8,
                      .next_hop = *parse_mac("02:00:00:00:00:08")};
  api::set_text(path.frontend.name, "default/dns:udp");
  return path;
}

inline api::WorkerState worker_record() {
  api::WorkerState worker;
  worker.core = 3;
  worker.numa_node = 0;
  worker.ports = 2;
  worker.vectors = 10;
  worker.packets = 320;
  worker.busy_cycles = 32000;
  worker.stage_count = 2;
  api::set_text(worker.stages[0].name, "parse");
  worker.stages[0] = {worker.stages[0].name, 320, 10, 6400};
  api::set_text(worker.stages[1].name, "arp");
  return worker;
}

inline api::TraceRecord trace_record(uint64_t packet, uint16_t step, std::string_view stage,
                                     std::string_view verdict, uint64_t in_key = 7) {
  api::TraceRecord record;
  record.packet = packet;
  record.nanoseconds = 1'500'000'000 + step;
  record.step = step;
  record.length = 98;
  record.in_key = in_key;
  api::set_text(record.stage, stage);
  api::set_text(record.verdict, verdict);
  return record;
}

}  // namespace weir::test
