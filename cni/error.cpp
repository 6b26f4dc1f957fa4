#include "cni/error.h"

#include <nlohmann/json.hpp>

namespace weir::cni {

std::string render(const Error& error, Version version) {
  nlohmann::json object{{"cniVersion", to_string(version)},
                        {"code", static_cast<int>(error.code)},
                        {"msg", error.msg}};
  if (!error.details.empty()) object["details"] = error.details;
  return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace weir::cni
