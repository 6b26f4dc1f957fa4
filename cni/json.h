// Bounded JSON reading with the habits of Go's encoding/json, which every CNI
// runtime is built on: field names match in any case, the last duplicate wins,
// null is the same as absent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cni/error.h"

namespace weir::cni {

using Json = nlohmann::json;

inline constexpr size_t kMaxDocument = size_t{8} << 20;  // bytes
inline constexpr size_t kMaxDepth = 128;                 // nested objects and arrays

enum class Keys : uint8_t {
  // A key that equals a field name known to weir in all but case is stored under that
  // name's own spelling (table in json.cpp), so callers look up one spelling only.
  // Keys of free-form maps (pod annotations) stay as they are.
  canonical,
  verbatim,  // for documents that do not come from a CNI runtime
};

// Code 6 for malformed, too large or too deep text, invalid UTF-8 and NUL bytes.
Outcome<Json> parse_json(std::string_view text, Keys keys = Keys::canonical,
                         size_t max_bytes = kMaxDocument);

// JSON text can carry it without loss.
bool is_utf8(std::string_view text);

// Reads the fields of one object. The first error is kept and later reads return
// "absent", so that a caller reads all and asks once. A wrong JSON type is code 6,
// a value out of range code 7. `where` names the object in messages ("ipam").
class FieldReader {
 public:
  FieldReader(const Json& object, std::string where);

  std::string text(const char* key);                // absent = ""
  std::vector<std::string> texts(const char* key);  // absent = {}
  bool boolean(const char* key);                    // absent = false
  std::optional<int64_t> integer(const char* key, int64_t low, int64_t high);
  // The value when it is of that type, nullptr when absent. Valid as long as the object.
  const Json* object(const char* key);
  const Json* array(const char* key);

  void fail(Error error);
  const std::optional<Error>& error() const noexcept { return error_; }

 private:
  const Json* find(const char* key) const;
  void wrong_type(const char* key, std::string_view wanted);
  std::string path(const char* key) const;

  const Json& object_;
  std::string where_;
  std::optional<Error> error_;
};

}  // namespace weir::cni
