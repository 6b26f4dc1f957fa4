#include "control/ctl/port_view.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <vector>

#include "control/ctl/drop_view.h"
#include "control/ctl/memif_view.h"
#include "control/ctl/table.h"
#include "control/ctl/vhost_view.h"

namespace weir::ctl {
namespace {

using Align = Table::Align;

// A damaged reply may claim more addresses than a record holds.
std::vector<std::string> addresses(const api::PortConfig& config) {
  std::vector<std::string> texts;
  const size_t count = std::min<size_t>(config.address_count, config.addresses.size());
  for (size_t i = 0; i < count; ++i) texts.push_back(weir::to_string(config.addresses[i]));
  return texts;
}

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : ",") + text;
  return all;
}

Json counters_json(const api::PortCounters& counters) {
  return {{"rx_packets", json_u64(counters.rx_packets)},
          {"rx_bytes", json_u64(counters.rx_bytes)},
          {"tx_packets", json_u64(counters.tx_packets)},
          {"tx_bytes", json_u64(counters.tx_bytes)},
          {"drops", json_u64(counters.drops)}};
}

Json uplink_json(const api::UplinkState& uplink) {
  return {{"devargs", field_text(uplink.devargs)},
          {"driver", field_text(uplink.driver)},
          {"speed_mbps", uplink.speed_mbps},
          {"rx_queues", uplink.rx_queues},
          {"tx_queues", uplink.tx_queues},
          {"rx_missed", json_u64(uplink.rx_missed)},
          {"rx_errors", json_u64(uplink.rx_errors)},
          {"rx_no_buffer", json_u64(uplink.rx_no_buffer)},
          {"tx_errors", json_u64(uplink.tx_errors)}};
}

void add_uplink_fields(Fields& fields, const api::UplinkState& uplink) {
  fields.add("device", field_text(uplink.devargs));
  fields.add("driver", field_text(uplink.driver));
  fields.add("speed", uplink.speed_mbps == 0 ? "" : std::to_string(uplink.speed_mbps) + " Mbit/s");
  fields.add("queues", std::to_string(uplink.rx_queues) + " receive, " + std::to_string(uplink.tx_queues) + " transmit");
  fields.add("device lost", std::to_string(uplink.rx_missed) + " missed, " + std::to_string(uplink.rx_errors) +
                                " receive errors, " + std::to_string(uplink.rx_no_buffer) + " without a buffer, " +
                                std::to_string(uplink.tx_errors) + " transmit errors");
}

// Bit/s and bits, as the CNI "bandwidth" capability has them; 0 = no limit.
Json limits_json(const api::PortLimits& limits) {
  return {{"from_pod_rate", json_u64(limits.rx_rate)},
          {"from_pod_burst", json_u64(limits.rx_burst)},
          {"to_pod_rate", json_u64(limits.tx_rate)},
          {"to_pod_burst", json_u64(limits.tx_burst)}};
}

Json state_json(const api::PortState& port) {
  const api::PortConfig& config = port.config;
  Json json{{"key", json_u64(config.key)},
            {"name", field_text(config.name)},
            {"kind", to_string(config.kind)},
            {"ifname", field_text(config.ifname)},
            {"mac", weir::to_string(config.mac)},
            {"mtu", config.mtu},
            {"addresses", addresses(config)},
            {"gateway4", weir::to_string(config.gateway4)},
            {"gateway6", weir::to_string(config.gateway6)},
            {"trusted", (config.flags & api::kPortTrusted) != 0},
            {"socket_path", field_text(config.socket_path)},
            {"index", port.index},
            {"worker", port.worker},
            {"link", to_string(port.link)},
            {"detail", field_text(port.detail)},
            {"peer_name", field_text(port.peer_name)}};
  if (config.kind == api::PortKind::memif) json["memif"] = memif_json(port);
  if (config.kind == api::PortKind::vhost_user) json["vhost_user"] = vhost_json(port);
  if (config.kind == api::PortKind::uplink) json["uplink"] = uplink_json(port.uplink);
  if (port.limits.any()) json["limits"] = limits_json(port.limits);
  json["counters"] = counters_json(port.counters);
  return json;
}

std::optional<uint64_t> parse_key(std::string_view text) {
  const bool hex = text.starts_with("0x");
  if (hex) text.remove_prefix(2);
  uint64_t key = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), key, hex ? 16 : 10);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return key;
}

bool holds(const api::PortConfig& config, const IpAddress& address) {
  const size_t count = std::min<size_t>(config.address_count, config.addresses.size());
  const auto* end = config.addresses.begin() + count;
  return std::find(config.addresses.begin(), end, address) != end;
}

std::string packets_and_bytes(uint64_t packets, uint64_t bytes) {
  return std::to_string(packets) + " packets, " + std::to_string(bytes) + " bytes";
}

// Empty, so not shown: no limit.
std::string limit_text(uint64_t rate, uint64_t burst) {
  if (rate == 0) return "";
  return with_prefix(static_cast<double>(rate), "bit/s") + ", bursts of " + byte_size(burst / 8);
}

}  // namespace

std::string_view to_string(api::PortKind kind) noexcept {
  switch (kind) {
    case api::PortKind::none: return "none";
    case api::PortKind::kernel: return "kernel";
    case api::PortKind::memif: return "memif";
    case api::PortKind::vhost_user: return "vhost-user";
    case api::PortKind::host: return "host";
    case api::PortKind::uplink: return "uplink";
  }
  return "unknown";
}

std::string_view to_string(api::LinkState link) noexcept {
  switch (link) {
    case api::LinkState::down: return "down";
    case api::LinkState::up: return "up";
    case api::LinkState::quarantined: return "quarantined";
  }
  return "unknown";
}

PortNames port_names(std::span<const api::PortState> ports) {
  PortNames names;
  for (const api::PortState& port : ports) names[port.config.key] = field_text(port.config.name);
  return names;
}

std::string port_label(uint64_t key, const PortNames& names) {
  if (key == 0) return "";
  const auto found = names.find(key);
  const std::string number = "key " + std::to_string(key);
  if (found == names.end() || found->second.empty()) return number;
  return found->second + " (" + number + ")";
}

Json port_reference_json(uint64_t key, const PortNames& names) {
  if (key == 0) return nullptr;
  const auto found = names.find(key);
  return {{"key", json_u64(key)}, {"name", found == names.end() ? "" : found->second}};
}

Result<const api::PortState*> find_port(std::span<const api::PortState> ports,
                                        std::string_view reference) {
  if (const auto key = parse_key(reference)) {
    const auto found = std::ranges::find(ports, *key, [](const auto& p) { return p.config.key; });
    if (found != ports.end()) return &*found;
  }
  const auto address = parse_address(reference);
  std::vector<const api::PortState*> fits;
  for (const api::PortState& port : ports) {
    const bool by_address = address && holds(port.config, *address);
    if (by_address || field_text(port.config.name) == reference) fits.push_back(&port);
  }
  if (fits.size() == 1) return fits.front();
  const std::string quoted = "'" + printable(reference) + "'";
  if (fits.empty()) {
    return {ErrorCode::not_found, "no port has the key, name or address " + quoted +
                                      ": 'weirctl port list' shows all ports"};
  }
  std::string keys;
  for (const api::PortState* port : fits) {
    keys += (keys.empty() ? "" : ", ") + std::to_string(port->config.key);
  }
  return {ErrorCode::invalid_argument,
          quoted + " fits several ports: name one by its key (" + keys + ")"};
}

std::string ports_text(std::span<const api::PortState> ports) {
  Table table({{"KEY", Align::right},
               {"NAME"},
               {"KIND"},
               {"IFNAME"},
               {"ADDRESSES"},
               {"MTU", Align::right},
               {"LINK"},
               {"WORKER", Align::right},
               {"RX", Align::right},
               {"TX", Align::right},
               {"DROPS", Align::right}});
  for (const api::PortState& port : ports) {
    const api::PortConfig& config = port.config;
    table.row({std::to_string(config.key), field_text(config.name),
               std::string(to_string(config.kind)), field_text(config.ifname),
               joined(addresses(config)), std::to_string(config.mtu),
               std::string(to_string(port.link)), std::to_string(port.worker),
               std::to_string(port.counters.rx_packets), std::to_string(port.counters.tx_packets),
               std::to_string(port.counters.drops)});
  }
  return table.text();
}

Json ports_json(std::span<const api::PortState> ports) {
  Json all = Json::array();
  for (const api::PortState& port : ports) all.push_back(state_json(port));
  return all;
}

std::string port_text(const api::PortState& port, std::span<const api::DropCounter> drops) {
  const api::PortConfig& config = port.config;
  const std::string detail = field_text(port.detail);
  Fields fields;
  fields.add("key", std::to_string(config.key));
  fields.add("name", field_text(config.name));
  fields.add("kind", std::string(to_string(config.kind)));
  fields.add("link", std::string(to_string(port.link)) + (detail.empty() ? "" : ": " + detail));
  fields.add("interface", field_text(config.ifname));
  fields.add("socket", field_text(config.socket_path));
  if (config.kind == api::PortKind::memif) add_memif_fields(fields, port);
  if (config.kind == api::PortKind::vhost_user) add_vhost_fields(fields, port);
  if (config.kind == api::PortKind::uplink) add_uplink_fields(fields, port.uplink);
  fields.add("mac", weir::to_string(config.mac));
  fields.add("mtu", std::to_string(config.mtu));
  fields.add("addresses", joined(addresses(config)));
  fields.add("gateway", weir::to_string(config.gateway4));
  fields.add("gateway6", weir::to_string(config.gateway6));
  fields.add("source checks", (config.flags & api::kPortTrusted) != 0 ? "off (trusted)" : "on");
  fields.add("worker", std::to_string(port.worker));
  fields.add("from pod at most", limit_text(port.limits.rx_rate, port.limits.rx_burst));
  fields.add("to pod at most", limit_text(port.limits.tx_rate, port.limits.tx_burst));
  fields.add("received", packets_and_bytes(port.counters.rx_packets, port.counters.rx_bytes));
  fields.add("sent", packets_and_bytes(port.counters.tx_packets, port.counters.tx_bytes));
  fields.add("dropped", std::to_string(port.counters.drops) + " packets");
  std::string text = fields.text() + rings_text(port.memif);
  const auto seen = nonzero(drops);
  if (!seen.empty()) text += "\n" + drops_text(seen);
  return text;
}

Json port_json(const api::PortState& port, std::span<const api::DropCounter> drops) {
  Json json = state_json(port);
  json["drops"] = drops_json(nonzero(drops));
  return json;
}

}  // namespace weir::ctl
