#include "control/services/field.h"

#include <algorithm>
#include <charconv>

#include "control/services/parse.h"

namespace weir::control {

using cni::Json;

void refuse(cni::FieldReader& reader, std::string what, std::string remedy) {
  reader.fail({cni::Code::invalid_config, std::move(what), std::move(remedy)});
}

cni::Error in_object(const std::string& kind, const ObjectName& name, cni::Error error) {
  error.msg = kind + " " + to_string(name) + ": " + error.msg;
  return error;
}

// Bounds keep one document from holding the control thread, which also answers ADD and DEL.
const Json* bounded_array(cni::FieldReader& reader, const char* key, const std::string& where,
                          size_t limit) {
  const Json* list = reader.array(key);
  if (list == nullptr || list->size() <= limit) return list;
  refuse(reader, where + " has " + std::to_string(list->size()) + " entries",
         "give at most " + std::to_string(limit));
  return nullptr;
}

Labels read_labels(cni::FieldReader& reader, const char* key, const std::string& where) {
  Labels labels;
  const Json* object = reader.object(key);
  if (object == nullptr) return labels;
  for (const auto& [name, value] : object->items()) {
    if (!value.is_string()) {
      refuse(reader, where + "." + name + " is not a string", "put the value in quotes");
      return {};
    }
    labels.emplace(name, value.get<std::string>());
  }
  return labels;
}

// Each address once: the API does not forbid repetitions in externalIPs.
std::vector<IpAddress> read_addresses(cni::FieldReader& reader,
                                      const std::vector<std::string>& texts,
                                      const std::string& where) {
  std::vector<IpAddress> addresses;
  if (texts.size() > kMaxServiceAddresses) {
    refuse(reader, where + " has " + std::to_string(texts.size()) + " addresses",
           "give at most " + std::to_string(kMaxServiceAddresses));
    return addresses;
  }
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto address = parse_address(texts[i]);
    if (!address || !is_service_address(*address)) {
      refuse(reader, where + "[" + std::to_string(i) + "] is '" + texts[i] + "'",
             "give an IPv4 or IPv6 address that is neither loopback, link-local nor multicast");
      return {};
    }
    if (std::ranges::find(addresses, *address) == addresses.end()) addresses.push_back(*address);
  }
  return addresses;
}

// parse_prefix() is stricter than Kubernetes, whose objects must be taken as they are.
std::optional<IpPrefix> lenient_prefix(const std::string& text) {
  const size_t begin = text.find_first_not_of(' ');
  if (begin == std::string::npos) return std::nullopt;
  const std::string trimmed = text.substr(begin, text.find_last_not_of(' ') - begin + 1);
  const size_t slash = trimmed.find('/');
  const auto address = parse_address(trimmed.substr(0, slash));
  if (!address || slash == std::string::npos) return std::nullopt;
  uint8_t length = 0;
  const char* end = trimmed.data() + trimmed.size();
  const auto [stop, error] = std::from_chars(trimmed.data() + slash + 1, end, length);
  if (error != std::errc{} || stop != end || length > address->bits()) return std::nullopt;
  return make_prefix(*address, length);
}

}  // namespace weir::control
