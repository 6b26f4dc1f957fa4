#include "control/services/registration.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "control/services/field.h"
#include "control/services/parse.h"

namespace weir::control {

namespace {

using cni::Json;
using std::chrono::seconds;

constexpr char kKind[] = "Registration";
constexpr char kPrefix[] = "/v1/services/";
constexpr uint32_t kLongestTtl = 86400;
constexpr size_t kMaxEntries = 10000;
constexpr size_t kMaxPart = 253;  // bytes of a name or an id

// One sentence with the remedy, as everywhere.
HttpResponse failure(unsigned status, const std::string& text) {
  return {status, Json{{"error", text}}.dump(-1, ' ', false, Json::error_handler_t::replace)};
}

struct Path {
  ObjectName service;
  std::string id;  // empty: all endpoints of the service
};

// What may stand in a path without being encoded; ids become part of objects' names.
bool is_part(const std::string& text) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
  };
  return !text.empty() && text.size() <= kMaxPart && std::ranges::all_of(text, allowed);
}

std::optional<Path> parse_path(const std::string& text) {
  if (!text.starts_with(kPrefix)) return std::nullopt;
  std::vector<std::string> parts;
  size_t begin = sizeof kPrefix - 1;
  while (begin <= text.size()) {
    const size_t end = std::min(text.find('/', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  const bool fits = (parts.size() == 3 || parts.size() == 4) && parts[2] == "endpoints" &&
                    std::ranges::all_of(parts, is_part);
  if (!fits) return std::nullopt;
  return Path{{parts[0], parts[1]}, parts.size() == 4 ? parts[3] : ""};
}

Json to_json(const Registration& registration) {
  return {{"address", to_string(registration.address)},
          {"ports", registration.ports},
          {"weight", registration.weight},
          {"ttl_seconds", registration.ttl_seconds}};
}

// Each registration is a slice of its own: a keepalive touches no other.
std::string slice_name(const Registration& registration) {
  return registration.service.name + "-registered-" + registration.id;
}

// A port is of every protocol: the service's own says which counts.
EndpointSlice slice_of(const Registration& registration, const NodeFacts& node) {
  EndpointSlice slice{.name = {registration.service.space, slice_name(registration)},
                      .service = registration.service.name,
                      .family = registration.address.family};
  for (const auto& [name, number] : registration.ports) {
    for (const uint8_t protocol : {kProtocolTcp, kProtocolUdp, kProtocolSctp}) {
      slice.ports.push_back({.name = name, .protocol = protocol, .port = number});
    }
  }
  slice.endpoints.push_back({.address = registration.address,
                             .node = node.name,
                             .zone = node.zone,
                             .pod = registration.id,
                             .weight = registration.weight});
  return slice;
}

void read_ports(cni::FieldReader& reader, Registration& out) {
  const Json* ports = reader.object("ports");
  if (ports == nullptr || ports->empty() || ports->size() > kMaxServicePorts) {
    refuse(reader, "ports is missing, empty or has more than 100 entries",
           "give an object such as {\"80-tcp\": 8080}");
    return;
  }
  cni::FieldReader fields(*ports, "ports");
  for (const auto& [name, value] : ports->items()) {
    const auto number = fields.integer(name.c_str(), 1, UINT16_MAX);
    if (number) out.ports.emplace(name, static_cast<uint16_t>(*number));
  }
  if (fields.error()) reader.fail(*fields.error());
}

}  // namespace

cni::Outcome<Registration> parse_registration(const ObjectName& service, const std::string& id,
                                              const std::string& body) {
  const auto document = cni::parse_json(body, cni::Keys::verbatim);
  if (!document) return document.error();
  cni::FieldReader reader(*document, "");
  Registration out{.service = service, .id = id};
  const std::string address = reader.text("address");
  out.address = parse_address(address).value_or(IpAddress{});
  if (!reader.error() && !is_service_address(out.address)) {
    refuse(reader, "address is '" + address + "'", "give the endpoint's IPv4 or IPv6 address");
  }
  read_ports(reader, out);
  out.weight = static_cast<uint16_t>(reader.integer("weight", 1, 1000).value_or(1));
  const auto ttl = reader.integer("ttl_seconds", 1, kLongestTtl);
  if (!reader.error() && !ttl) {
    refuse(reader, "ttl_seconds is missing", "give 1 to 86400 and PUT again before they are over");
  }
  out.ttl_seconds = static_cast<uint32_t>(ttl.value_or(0));
  if (reader.error()) return *reader.error();
  return out;
}

// What a power cut loses, the pods lose too.
Status Registry::keep(const Registration& registration) {
  auto transaction = store_.begin(Durability::process);
  if (!transaction) return transaction.error();
  const ObjectName& service = registration.service;
  const Status put = store_.put_object({kKind, service.space, service.name + "/" + registration.id,
                                        service.name, to_json(registration).dump()});
  return put ? transaction->commit() : put;
}

void Registry::publish(const Registration& registration) {
  ServiceObjects objects;
  objects.slices.push_back(slice_of(registration, catalog_.node()));
  catalog_.put(ServiceSource::registration, std::move(objects));
}

// Nobody knows how long ago each was renewed, so each gets its whole time.
void Registry::load(const std::vector<StoredObject>& stored, Clock::time_point now) {
  for (const StoredObject& object : stored) {
    if (object.kind != kKind) continue;
    const std::string id = object.name.substr(object.service.size() + 1);
    const auto parsed = parse_registration({object.space, object.service}, id, object.document);
    if (!parsed) continue;
    entries_[{parsed->service, id}] = {*parsed, now + seconds(parsed->ttl_seconds)};
    publish(*parsed);
  }
}

void Registry::forget(const Key& key) {
  const Registration registration = entries_.at(key).registration;
  entries_.erase(key);
  catalog_.remove_slice(ServiceSource::registration, {key.first.space, slice_name(registration)});
  const Status deleted =
      store_.delete_object(kKind, key.first.space, key.first.name + "/" + key.second);
  if (!deleted) spdlog::warn("services: {}", deleted.error().text);
}

// A keepalive that says nothing new costs no write.
HttpResponse Registry::put(const Key& key, const HttpRequest& request, Clock::time_point now) {
  const auto parsed = parse_registration(key.first, key.second, request.body);
  if (!parsed) return failure(400, parsed.error().msg + "; " + parsed.error().details);
  if (parsed->address != request.peer) {
    return failure(403, "you are " + to_string(request.peer) + " and may not register " +
                            to_string(parsed->address) + ": send the request from that address");
  }
  // Else a pod could take an id over and with it push the other out.
  const auto there = entries_.find(key);
  if (there != entries_.end() && there->second.registration.address != request.peer) {
    return failure(409, "the id '" + key.second + "' is registered by " +
                            to_string(there->second.registration.address) + ": choose another");
  }
  if (there == entries_.end() && entries_.size() >= kMaxEntries) {
    return failure(507, "there are " + std::to_string(kMaxEntries) + " registrations: try later");
  }
  const bool news = there == entries_.end() || there->second.registration != *parsed;
  if (news) {
    if (!keep(*parsed)) return failure(503, "the registration cannot be kept: try later");
  }
  entries_[key] = {*parsed, now + seconds(parsed->ttl_seconds)};
  if (news) {
    publish(*parsed);
    changed_();
  }
  return {200, to_json(*parsed).dump()};
}

// Repeatable: an id that is not there is gone.
HttpResponse Registry::remove(const Key& key, const IpAddress& peer) {
  const auto there = entries_.find(key);
  if (there == entries_.end()) return {200, "{}"};
  if (there->second.registration.address != peer) {
    return failure(403, "'" + key.second + "' is registered by another address");
  }
  forget(key);
  changed_();
  return {200, "{}"};
}

HttpResponse Registry::list(const ObjectName& service, Clock::time_point now) const {
  Json endpoints = Json::array();
  for (const auto& [key, entry] : entries_) {
    if (key.first != service) continue;
    Json one = to_json(entry.registration);
    one["id"] = key.second;
    one["left_seconds"] = std::chrono::duration_cast<seconds>(entry.ends - now).count();
    endpoints.push_back(std::move(one));
  }
  return {200, Json{{"endpoints", std::move(endpoints)}}.dump()};
}

HttpResponse Registry::answer(const HttpRequest& request, Clock::time_point now) {
  const auto path = parse_path(request.path);
  if (!path) {
    return failure(404,
                   "use /v1/services/NAMESPACE/NAME/endpoints/ID, with letters, digits, "
                   "'-', '.' and '_' in each part");
  }
  if (request.method == "GET" && path->id.empty()) return list(path->service, now);
  if (path->id.empty()) return failure(405, "GET lists endpoints; PUT and DELETE need an ID");
  if (request.method == "PUT") return put({path->service, path->id}, request, now);
  if (request.method == "DELETE") return remove({path->service, path->id}, request.peer);
  return failure(405, "use PUT, DELETE or, without an ID, GET");
}

void Registry::expire(Clock::time_point now) {
  std::vector<Key> over;
  for (const auto& [key, entry] : entries_) {
    if (entry.ends <= now) over.push_back(key);
  }
  for (const Key& key : over) {
    spdlog::info("services: {} of {} did not renew its registration", key.second,
                 to_string(key.first));
    forget(key);
  }
  if (!over.empty()) changed_();
}

}  // namespace weir::control
