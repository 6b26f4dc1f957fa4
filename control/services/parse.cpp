#include "control/services/parse.h"

#include <algorithm>
#include <array>
#include <optional>

#include "control/services/compact.h"

namespace weir::control {

namespace {

using cni::Json;

constexpr size_t kMaxObjects = 100000;
constexpr size_t kMaxName = 253;  // RFC 1123 as Kubernetes applies it

// RFC 1123 labels; Service names are narrower, but what the API admitted is good enough here.
bool is_object_name(const std::string& text) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  };
  return !text.empty() && text.size() <= kMaxName && std::ranges::all_of(text, allowed) &&
         text.front() != '-' && text.front() != '.' && text.back() != '-' && text.back() != '.';
}

std::string kind_of(const Json& document) {
  const auto kind = document.find("kind");
  return kind != document.end() && kind->is_string() ? kind->get<std::string>() : "";
}

bool is_list(const std::string& kind) {
  return kind == "List" || kind == "ServiceList" || kind == "EndpointSliceList";
}

cni::Error unknown_kind(const std::string& kind, const std::string& where) {
  const std::string what = kind.empty() ? "has neither kind nor vips" : "is of kind '" + kind + "'";
  return {cni::Code::invalid_config, where + " " + what,
          "give a Service (v1), an EndpointSlice (discovery.k8s.io/v1), a List of them, or the "
          "compact form with name, vips, ports and backends"};
}

cni::Error too_many() {
  return {cni::Code::invalid_config,
          "there are more than " + std::to_string(kMaxObjects) + " objects",
          "split them over several files"};
}

// Items of a typed list need not say what they are.
Json with_kind(Json item, const std::string& list_kind) {
  if (item.is_object() && !item.contains("kind") && list_kind != "List") {
    item["kind"] = list_kind == "ServiceList" ? "Service" : "EndpointSlice";
  }
  return item;
}

// Other groups have kinds of these names, and older versions other fields. Items of lists
// may leave it out.
std::optional<cni::Error> wrong_version(const Json& document, const std::string& kind,
                                        const std::string& where) {
  const std::string wanted = kind == "Service" ? "v1" : "discovery.k8s.io/v1";
  const auto version = document.find("apiVersion");
  if (version == document.end() || *version == wanted) return std::nullopt;
  return cni::Error{cni::Code::invalid_config,
                    where + " is a " + kind + " of another apiVersion than " + wanted,
                    "give it as that version of the API serves it"};
}

std::optional<cni::Error> flatten_into(const Json& document, const std::string& where,
                                       std::vector<Json>& out);

// Lists may hold lists, as deep as the JSON parser admits.
std::optional<cni::Error> flatten_items(const Json& items, const std::string& where,
                                        const std::string& list_kind, std::vector<Json>& out) {
  for (size_t i = 0; i < items.size(); ++i) {
    const std::string place = where + "[" + std::to_string(i) + "]";
    auto wrong = flatten_into(with_kind(items[i], list_kind), place, out);
    if (wrong) return wrong;
  }
  return std::nullopt;
}

std::optional<cni::Error> flatten_into(const Json& document, const std::string& where,
                                       std::vector<Json>& out) {
  if (out.size() > kMaxObjects) return too_many();
  if (document.is_array()) return flatten_items(document, where, "List", out);
  if (!document.is_object()) {
    return cni::Error{cni::Code::decoding_failure, where + " is not a JSON object", ""};
  }
  const std::string kind = kind_of(document);
  if (is_list(kind)) {
    cni::FieldReader reader(document, where);
    const Json* items = reader.array("items");
    if (reader.error()) return reader.error();
    return items == nullptr ? std::nullopt : flatten_items(*items, where + ".items", kind, out);
  }
  if (kind == "Service" || kind == "EndpointSlice") {
    if (auto other = wrong_version(document, kind, where)) return other;
    out.push_back(document);
    return std::nullopt;
  }
  if (!kind.empty() || !is_compact(document)) return unknown_kind(kind, where);
  auto expanded = expand_compact(document, where);
  if (!expanded) return expanded.error();
  for (Json& one : *expanded) out.push_back(std::move(one));
  return std::nullopt;
}

}  // namespace

uint8_t protocol_of(const std::string& text) {
  std::string upper = text;
  for (char& c : upper) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  if (upper.empty() || upper == "TCP") return kProtocolTcp;
  if (upper == "UDP") return kProtocolUdp;
  return upper == "SCTP" ? kProtocolSctp : 0;
}

const char* protocol_text(uint8_t protocol) {
  switch (protocol) {
    case kProtocolTcp: return "tcp";
    case kProtocolUdp: return "udp";
    case kProtocolSctp: return "sctp";
    default: return "?";
  }
}

bool is_service_address(const IpAddress& address) {
  static const std::array<IpPrefix, 8> kUnusable{
      *parse_prefix("0.0.0.0/8"),   *parse_prefix("127.0.0.0/8"),  *parse_prefix("169.254.0.0/16"),
      *parse_prefix("224.0.0.0/3"), *parse_prefix("::/127"),       *parse_prefix("fe80::/10"),
      *parse_prefix("ff00::/8"),    *parse_prefix("::ffff:0:0/96")};
  return !address.is_none() && std::ranges::none_of(kUnusable, [&](const IpPrefix& prefix) {
    return contains(prefix, address);
  });
}

bool is_slice(const Json& document) { return kind_of(document) == "EndpointSlice"; }

cni::Outcome<ObjectName> read_name(const Json& document) {
  cni::FieldReader reader(document, "");
  const Json* metadata = reader.object("metadata");
  if (reader.error()) return *reader.error();
  const Json none = Json::object();
  cni::FieldReader fields(metadata == nullptr ? none : *metadata, "metadata");
  ObjectName name{fields.text("namespace"), fields.text("name")};
  if (fields.error()) return *fields.error();
  if (name.space.empty()) name.space = kDefaultNamespace;
  for (const auto& [key, text] : {std::pair{"name", name.name}, {"namespace", name.space}}) {
    if (is_object_name(text)) continue;
    return cni::Error{cni::Code::invalid_config,
                      "metadata." + std::string(key) + " is '" + text + "'",
                      "use lower-case letters, digits, '-' and '.', at most 253 of them"};
  }
  return name;
}

cni::Outcome<std::vector<Json>> flatten_objects(const Json& document) {
  std::vector<Json> out;
  if (auto wrong = flatten_into(document, "document", out)) return *wrong;
  return out;
}

cni::Outcome<bool> parse_object(const Json& document, ServiceObjects& objects) {
  if (is_slice(document)) {
    auto slice = parse_slice(document);
    if (!slice) return slice.error();
    objects.slices.push_back(*std::move(slice));
    return true;
  }
  auto service = parse_service(document);
  if (!service) return service.error();
  objects.services.push_back(*std::move(service));
  return true;
}

cni::Outcome<ServiceObjects> parse_objects(const std::string& text) {
  const auto document = cni::parse_json(text, cni::Keys::verbatim);
  if (!document) return document.error();
  const auto flat = flatten_objects(*document);
  if (!flat) return flat.error();
  ServiceObjects objects;
  for (const Json& one : *flat) {
    const auto parsed = parse_object(one, objects);
    if (!parsed) return parsed.error();
  }
  return objects;
}

}  // namespace weir::control
