#include "cni/json.h"

#include <algorithm>
#include <cctype>
#include <unordered_map>

namespace weir::cni {
namespace {

// Every field name that weir reads anywhere in a CNI document.
constexpr std::string_view kFieldNames[] = {
    "cniVersion", "name", "type", "port", "mtu", "ipam", "dns", "runtimeConfig", "args", "cni",
    "prevResult", "capabilities", "cni.dev/valid-attachments", "cni.dev/attachments", "containerID",
    "ifname", "disableCheck", "disableGC",
    // addressing
    "ranges", "subnet", "rangeStart", "rangeEnd", "gateway", "routes", "dst", "gw", "advmss",
    "priority", "table", "scope", "dataDir", "resolvConf", "ip", "ip4", "ip6", "ips", "ipRanges",
    "address", "interface", "interfaces", "version", "mac", "sandbox", "socketPath", "pciID",
    // names
    "nameservers", "domain", "search", "options", "servers", "searches",
    // capabilities
    "portMappings", "hostPort", "containerPort", "protocol", "hostIP", "bandwidth", "ingressRate",
    "ingressBurst", "egressRate", "egressBurst", "deviceID", "CNIDeviceInfoFile",
    "io.kubernetes.cri.pod-annotations", "labels", "key", "value",
    // memif and vhost-user ports
    "memif", "vhost-user", "role", "mode", "path", "trusted", "secret", "queues", "ringSize",
    "bufferSize", "socketMode", "socketUid", "socketGid",
    // errors of delegates
    "code", "msg", "details", "supportedVersions"};

constexpr std::string_view kFreeFormMap = "io.kubernetes.cri.pod-annotations";

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

using SpellingTable = std::unordered_map<std::string, std::string_view>;

SpellingTable make_spellings() {
  SpellingTable table;
  for (std::string_view name : kFieldNames) table.emplace(lower(name), name);
  return table;
}

std::string canonical(std::string_view key) {
  static const SpellingTable spellings = make_spellings();
  const auto found = spellings.find(lower(key));
  return std::string(found == spellings.end() ? key : found->second);
}

// Builds the document from parser events, because only here is the order of
// duplicates still known and the depth can be refused before it costs anything.
class Builder final : public nlohmann::json_sax<Json> {
 public:
  explicit Builder(Keys keys) : keys_(keys) {}

  bool null() override { return put(nullptr) != nullptr; }
  bool boolean(bool value) override { return put(value) != nullptr; }
  bool number_integer(number_integer_t value) override { return put(value) != nullptr; }
  bool number_unsigned(number_unsigned_t value) override { return put(value) != nullptr; }
  bool number_float(number_float_t value, const string_t&) override {
    return put(value) != nullptr;
  }
  bool string(string_t& value) override { return put(std::move(value)) != nullptr; }
  bool binary(binary_t&) override { return false; }
  bool start_object(size_t) override { return open(Json::object()); }
  bool start_array(size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    const bool verbatim = keys_ == Keys::verbatim || free_form_ > 0;
    std::string spelling = verbatim ? std::move(name) : canonical(name);
    opens_free_form_ = spelling == kFreeFormMap;
    slot_ = &(*open_.back())[std::move(spelling)];
    return true;
  }

  bool parse_error(size_t position, const std::string&, const Json::exception&) override {
    problem_ = "it is malformed near byte " + std::to_string(position);
    return false;
  }

  Json take() { return std::move(root_); }
  const std::string& problem() const noexcept { return problem_; }

 private:
  Json* put(Json value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    Json& parent = *open_.back();
    if (parent.is_array()) return &parent.emplace_back(std::move(value));
    *slot_ = std::move(value);
    return slot_;
  }

  bool open(Json container) {
    if (open_.size() == kMaxDepth) {
      problem_ = "it nests deeper than " + std::to_string(kMaxDepth) + " levels";
      return false;
    }
    const bool named = !open_.empty() && open_.back()->is_object();
    if (free_form_ > 0 || (named && opens_free_form_)) ++free_form_;
    open_.push_back(put(std::move(container)));
    return true;
  }

  bool close() {
    if (free_form_ > 0) --free_form_;
    open_.pop_back();
    return true;
  }

  const Keys keys_;
  Json root_;
  // Stays valid: a parent does not grow while its last child is open.
  std::vector<Json*> open_;
  Json* slot_ = nullptr;
  size_t free_form_ = 0;  // open containers inside a free-form map
  bool opens_free_form_ = false;
  std::string problem_;
};

}  // namespace

Outcome<Json> parse_json(std::string_view text, Keys keys, size_t max_bytes) {
  const auto refuse = [](std::string why) {
    return Error{Code::decoding_failure, "cannot decode JSON: " + why, {}};
  };
  if (text.size() > max_bytes) {
    return refuse("it is larger than " + std::to_string(max_bytes >> 20) + " MiB");
  }
  // The parser takes NUL as the end and would not see what follows.
  if (text.find('\0') != text.npos) return refuse("it contains a NUL byte");
  Builder builder(keys);
  if (!Json::sax_parse(text.begin(), text.end(), &builder)) return refuse(builder.problem());
  return builder.take();
}

bool is_utf8(std::string_view text) {
  try {
    (void)Json(text).dump();
    return true;
  } catch (const Json::type_error&) {
    return false;
  }
}

FieldReader::FieldReader(const Json& object, std::string where)
    : object_(object), where_(std::move(where)) {
  if (!object_.is_object()) {
    error_ = Error{Code::decoding_failure, where_ + " is not a JSON object", {}};
  }
}

const Json* FieldReader::find(const char* key) const {
  if (error_) return nullptr;
  const auto found = object_.find(key);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

std::string FieldReader::path(const char* key) const {
  return where_.empty() ? key : where_ + "." + key;
}

void FieldReader::fail(Error error) {
  if (!error_) error_ = std::move(error);
}

void FieldReader::wrong_type(const char* key, std::string_view wanted) {
  fail({Code::decoding_failure, path(key) + " is not " + std::string(wanted), {}});
}

std::string FieldReader::text(const char* key) {
  const Json* value = find(key);
  if (value == nullptr) return {};
  if (value->is_string()) return value->get<std::string>();
  wrong_type(key, "a string");
  return {};
}

std::vector<std::string> FieldReader::texts(const char* key) {
  const Json* list = array(key);
  if (list == nullptr) return {};
  if (!std::ranges::all_of(*list, [](const Json& item) { return item.is_string(); })) {
    wrong_type(key, "a list of strings");
    return {};
  }
  return list->get<std::vector<std::string>>();
}

bool FieldReader::boolean(const char* key) {
  const Json* value = find(key);
  if (value == nullptr) return false;
  if (value->is_boolean()) return value->get<bool>();
  wrong_type(key, "true or false");
  return false;
}

std::optional<int64_t> FieldReader::integer(const char* key, int64_t low, int64_t high) {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number_integer()) {
    wrong_type(key, "a whole number");
    return std::nullopt;
  }
  const bool huge = value->is_number_unsigned() && value->get<uint64_t>() > INT64_MAX;
  const int64_t number = huge ? INT64_MAX : value->get<int64_t>();
  if (huge || number < low || number > high) {
    fail({Code::invalid_config,
          path(key) + " is " + value->dump() + "; it must be between " + std::to_string(low) +
              " and " + std::to_string(high),
          {}});
    return std::nullopt;
  }
  return number;
}

const Json* FieldReader::object(const char* key) {
  const Json* value = find(key);
  if (value == nullptr || value->is_object()) return value;
  wrong_type(key, "an object");
  return nullptr;
}

const Json* FieldReader::array(const char* key) {
  const Json* value = find(key);
  if (value == nullptr || value->is_array()) return value;
  wrong_type(key, "a list");
  return nullptr;
}

}  // namespace weir::cni
