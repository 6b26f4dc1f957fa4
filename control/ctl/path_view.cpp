#include "control/ctl/path_view.h"

#include "control/ctl/conn_view.h"
#include "control/ctl/route_view.h"
#include "control/ctl/table.h"

namespace weir::ctl {
namespace {

const char* end_name(api::PathEnd end) {
  switch (end) {
    case api::PathEnd::delivered: return "delivered";
    case api::PathEnd::answered: return "answered";
    case api::PathEnd::rejected: return "rejected";
    case api::PathEnd::dropped: return "dropped";
  }
  return "unknown";
}

// As `weirctl service show` calls them.
const char* frontend_name(api::FrontendKind kind) {
  switch (kind) {
    case api::FrontendKind::cluster_ip: return "cluster-ip";
    case api::FrontendKind::node_port: return "node-port";
    case api::FrontendKind::external_ip: return "external-ip";
    case api::FrontendKind::load_balancer: return "load-balancer";
    case api::FrontendKind::host_port: return "host-port";
    case api::FrontendKind::none: break;
  }
  return "unknown";
}

const char* choice_name(api::PathChoice choice) {
  switch (choice) {
    case api::PathChoice::connection: return "connection";
    case api::PathChoice::affinity: return "affinity";
    case api::PathChoice::hash: return "hash";
    case api::PathChoice::none: break;
  }
  return "none";
}

const char* reason_of(api::PathChoice choice) {
  switch (choice) {
    case api::PathChoice::connection: return "its connection is open already";
    case api::PathChoice::affinity: return "the client went there before (affinity)";
    case api::PathChoice::hash: return "by Maglev's hash of this flow";
    case api::PathChoice::none: break;
  }
  return "";
}

// Messages of RFC 792 and RFC 4443 that weir sends.
const char* icmp_meaning(bool ip4, uint8_t type, uint8_t code) {
  if (ip4 && type == 3) {
    if (code == 0) return "network unreachable";
    if (code == 1) return "host unreachable";
    if (code == 3) return "port unreachable";
    if (code == 4) return "fragmentation needed";
  }
  if (!ip4 && type == 1) {
    if (code == 0) return "no route";
    if (code == 3) return "address unreachable";
    if (code == 4) return "port unreachable";
  }
  if (!ip4 && type == 2) return "packet too big";
  return type == (ip4 ? 11 : 3) ? "time exceeded" : "other";
}

bool has(const api::PathTrace& path, uint32_t flag) { return (path.flags & flag) != 0; }
bool is_ip4(const api::PathTrace& path) { return path.source.address.is_ip4(); }
bool has_ports(const api::PathTrace& path) {
  return path.source.protocol != 1 && path.source.protocol != 58;
}
bool leaves(const api::PathTrace& path) { return path.out_key != 0; }
bool translated(const api::PathTrace& path) { return path.choice != api::PathChoice::none; }

std::string icmp_text(const api::PathTrace& path, uint8_t type, uint8_t code) {
  return std::string(is_ip4(path) ? "ICMP " : "ICMPv6 ") + std::to_string(type) + "/" +
         std::to_string(code) + " (" + icmp_meaning(is_ip4(path), type, code) + ")";
}

std::string end_text(const api::PathTrace& path, const api::FrontendKey& end) {
  return has_ports(path) ? endpoint_text(end) : weir::to_string(end.address);
}

std::string verdict_text(const api::PathTrace& path, const PortNames& names) {
  const std::string drop = field_text(path.drop) + ": " + field_text(path.drop_text);
  switch (path.end) {
    case api::PathEnd::delivered: return "delivered to " + port_label(path.out_key, names);
    case api::PathEnd::answered: return "answered by the dataplane itself";
    case api::PathEnd::rejected:
      return "rejected with " + icmp_text(path, path.icmp_type, path.icmp_code) + ", " + drop;
    case api::PathEnd::dropped: break;
  }
  return "dropped, " + drop;
}

std::string protocol_text(const api::PathTrace& path) {
  return has_ports(path) ? protocol_name(path.source.protocol) : "echo request";
}

// The source that a backend sees, as far as it is known before a port is drawn.
std::string masquerade_text(const api::PathTrace& path) {
  if (!has(path, api::kPathMasqueraded)) return "";
  if (path.masquerade_first == 0) return end_text(path, path.new_source);
  return weir::to_string(path.new_source.address) + ", a free " +
         (has_ports(path) ? "port" : "identifier") + " of " +
         std::to_string(path.masquerade_first) + " to " + std::to_string(path.masquerade_last);
}

const api::FrontendKey& backend_of(const api::PathTrace& path) {
  return has(path, api::kPathReply) ? path.source : path.new_destination;
}

std::string service_text(const api::PathTrace& path) {
  if (path.frontend.key.address.is_none()) return "";
  return field_text(path.frontend.name) + ", " + frontend_name(path.frontend.kind) + " " +
         endpoint_text(path.frontend.key);
}

std::string nat_text(const api::PathTrace& path) {
  if (has(path, api::kPathReply)) {
    return "back to " + end_text(path, path.new_destination) + " from " +
           end_text(path, path.new_source);
  }
  return translated(path) ? "destination " + endpoint_text(path.new_destination) : "";
}

std::string route_text(const api::PathTrace& path, const PortNames& names) {
  if (path.route.kind == api::RouteKind::none) return "none";
  std::string text =
      weir::to_string(path.route.prefix) + ", " + std::string(ctl::to_string(path.route.kind));
  if (!path.route.gateway.is_none()) text += " " + weir::to_string(path.route.gateway);
  if (path.route.port_key != 0) text += ", " + port_label(path.route.port_key, names);
  return text;
}

std::string larger_text(const api::PathTrace& path) {
  const std::string icmp = icmp_text(path, path.larger_icmp_type, path.larger_icmp_code);
  return has(path, api::kPathLargerIsCut) ? "fragments; with DF set, " + icmp : icmp;
}

std::string protocol_json(const api::PathTrace& path) {
  if (has_ports(path)) return protocol_name(path.source.protocol);
  return is_ip4(path) ? "icmp" : "icmpv6";
}

Json end_json(const api::PathTrace& path, const api::FrontendKey& end) {
  Json json{{"address", weir::to_string(end.address)}, {"port", nullptr}};
  if (has_ports(path)) json["port"] = end.port;
  return json;
}

Json icmp_json(uint8_t type, uint8_t code) { return {{"type", type}, {"code", code}}; }

Json service_json(const api::PathTrace& path) {
  if (path.frontend.key.address.is_none()) return nullptr;
  Json json{{"name", field_text(path.frontend.name)},
            {"kind", frontend_name(path.frontend.kind)},
            {"frontend", end_json(path, path.frontend.key)},
            {"chosen_by", choice_name(path.choice)},
            {"client_inside", has(path, api::kPathInside)},
            {"reply", has(path, api::kPathReply)},
            {"backend", nullptr}};
  if (translated(path)) json["backend"] = end_json(path, backend_of(path));
  return json;
}

Json masquerade_json(const api::PathTrace& path) {
  if (!has(path, api::kPathMasqueraded)) return nullptr;
  const auto& end = has(path, api::kPathReply) ? path.destination : path.new_source;
  Json json{{"address", weir::to_string(end.address)}, {"port", nullptr}, {"ports", nullptr}};
  if (path.masquerade_first == 0) {
    if (has_ports(path)) json["port"] = end.port;
  } else {
    json["ports"] = {path.masquerade_first, path.masquerade_last};
  }
  return json;
}

Json larger_json(const api::PathTrace& path) {
  return {{"fragmented", has(path, api::kPathLargerIsCut)},
          {"icmp", icmp_json(path.larger_icmp_type, path.larger_icmp_code)}};
}

}  // namespace

std::string path_text(const api::PathTrace& path, const PortNames& names) {
  Fields fields;
  fields.add("packet", end_text(path, path.source) + " to " + end_text(path, path.destination) +
                           ", " + protocol_text(path));
  fields.add("verdict", verdict_text(path, names));
  fields.add("service", service_text(path));
  if (translated(path))
    fields.add("backend", endpoint_text(backend_of(path)) + ", " + reason_of(path.choice));
  fields.add("NAT", nat_text(path));
  fields.add("masquerade", has(path, api::kPathReply) ? "" : masquerade_text(path));
  fields.add("route", route_text(path, names));
  if (!leaves(path)) return fields.text();
  fields.add("next hop", weir::to_string(path.next_hop) + " on " + port_label(path.out_key, names));
  fields.add("MTU", std::to_string(path.mtu) + " bytes");
  fields.add("larger packets", larger_text(path));
  return fields.text();
}

Json path_json(const api::PathTrace& path, const PortNames& names) {
  Json json{{"verdict", end_name(path.end)},
            {"protocol", protocol_json(path)},
            {"source", end_json(path, path.source)},
            {"destination", end_json(path, path.destination)},
            {"icmp", nullptr},
            {"drop", nullptr},
            {"service", service_json(path)},
            {"new_source", end_json(path, path.new_source)},
            {"new_destination", end_json(path, path.new_destination)},
            {"masquerade", masquerade_json(path)},
            {"route", nullptr},
            {"out_port", port_reference_json(path.out_key, names)},
            {"next_hop", nullptr},
            {"mtu", nullptr},
            {"larger", nullptr}};
  if (path.end == api::PathEnd::rejected) json["icmp"] = icmp_json(path.icmp_type, path.icmp_code);
  if (const std::string drop = field_text(path.drop); !drop.empty())
    json["drop"] = {{"name", drop}, {"text", field_text(path.drop_text)}};
  if (path.route.kind != api::RouteKind::none) json["route"] = route_json(path.route, names);
  if (!leaves(path)) return json;
  json["next_hop"] = weir::to_string(path.next_hop);
  json["mtu"] = path.mtu;
  json["larger"] = larger_json(path);
  return json;
}

}  // namespace weir::ctl
