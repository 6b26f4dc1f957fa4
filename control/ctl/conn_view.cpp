#include "control/ctl/conn_view.h"

#include "control/ctl/table.h"

namespace weir::ctl {
namespace {

using Align = Table::Align;

bool masqueraded(const api::ConnectionState& connection) {
  return (connection.flags & api::kConnectionMasqueraded) != 0;
}

Json endpoint_json(const api::FrontendKey& end) {
  return {{"address", weir::to_string(end.address)}, {"port", end.port}};
}

std::string seconds(uint32_t count) { return std::to_string(count) + " s"; }

}  // namespace

std::string_view to_string(api::ConnectionPhase phase) noexcept {
  switch (phase) {
    case api::ConnectionPhase::opening: return "opening";
    case api::ConnectionPhase::open: return "open";
    case api::ConnectionPhase::closing: return "closing";
  }
  return "unknown";
}

std::string protocol_name(uint8_t protocol) {
  switch (protocol) {
    case 1: return "icmp";
    case 6: return "tcp";
    case 17: return "udp";
    case 58: return "icmpv6";
    case 132: return "sctp";
    default: return std::to_string(protocol);
  }
}

uint8_t protocol_number(std::string_view name) noexcept {
  if (name == "tcp") return 6;
  if (name == "udp") return 17;
  return name == "sctp" ? 132 : 0;
}

std::string endpoint_text(const api::FrontendKey& end) {
  const std::string address = weir::to_string(end.address);
  return (end.address.is_ip6() ? "[" + address + "]" : address) + ":" + std::to_string(end.port);
}

std::string connections_text(std::span<const api::ConnectionState> connections,
                             const PortNames& names) {
  Table table({{"PROTOCOL"},
               {"CLIENT"},
               {"FRONTEND"},
               {"BACKEND"},
               {"MASQUERADE"},
               {"PHASE"},
               {"IDLE", Align::right},
               {"LEFT", Align::right},
               {"PORT"}});
  for (const api::ConnectionState& connection : connections) {
    table.row({protocol_name(connection.client.protocol), endpoint_text(connection.client),
               endpoint_text(connection.frontend), endpoint_text(connection.backend),
               masqueraded(connection) ? endpoint_text(connection.masquerade) : "",
               std::string(to_string(connection.phase)), seconds(connection.idle_seconds),
               seconds(connection.left_seconds), port_label(connection.port_key, names)});
  }
  return table.text();
}

Json connections_json(std::span<const api::ConnectionState> connections, const PortNames& names) {
  Json all = Json::array();
  for (const api::ConnectionState& connection : connections) {
    all.push_back(
        {{"protocol", protocol_name(connection.client.protocol)},
         {"client", endpoint_json(connection.client)},
         {"frontend", endpoint_json(connection.frontend)},
         {"backend", endpoint_json(connection.backend)},
         {"masquerade",
          masqueraded(connection) ? endpoint_json(connection.masquerade) : Json(nullptr)},
         {"phase", to_string(connection.phase)},
         {"idle_seconds", connection.idle_seconds},
         {"left_seconds", connection.left_seconds},
         {"port", port_reference_json(connection.port_key, names)}});
  }
  return all;
}

std::string connection_stats_text(const api::ConnectionStats& stats) {
  Fields fields;
  fields.add("in use", std::to_string(stats.in_use) + " of " + std::to_string(stats.capacity));
  fields.add("affinities among them", std::to_string(stats.affinities));
  fields.add("ended, not yet free", std::to_string(stats.waiting));
  fields.add("created", std::to_string(stats.created));
  fields.add("timed out", std::to_string(stats.expired));
  fields.add("moved to another backend", std::to_string(stats.repicked));
  return fields.text();
}

Json connection_stats_json(const api::ConnectionStats& stats) {
  return {{"capacity", stats.capacity},           {"in_use", stats.in_use},
          {"affinities", stats.affinities},       {"waiting", stats.waiting},
          {"created", json_u64(stats.created)},   {"expired", json_u64(stats.expired)},
          {"repicked", json_u64(stats.repicked)}};
}

}  // namespace weir::ctl
