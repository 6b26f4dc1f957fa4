#include "dataplane/api/error.h"

#include <cerrno>
#include <system_error>

namespace weir {

std::string_view to_string(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::ok: return "ok";
    case ErrorCode::invalid_argument: return "invalid_argument";
    case ErrorCode::not_found: return "not_found";
    case ErrorCode::exists: return "exists";
    case ErrorCode::busy: return "busy";
    case ErrorCode::no_memory: return "no_memory";
    case ErrorCode::unsupported: return "unsupported";
    case ErrorCode::permission: return "permission";
    case ErrorCode::io: return "io";
    case ErrorCode::version: return "version";
    case ErrorCode::unavailable: return "unavailable";
    case ErrorCode::limit: return "limit";
    case ErrorCode::config: return "config";
    case ErrorCode::timeout: return "timeout";
  }
  return "unknown";
}

Error errno_error(std::string_view what, int number) {
  ErrorCode code = ErrorCode::io;
  if (number == EACCES || number == EPERM) code = ErrorCode::permission;
  if (number == ENOENT) code = ErrorCode::not_found;
  return {code, std::string(what) + ": " + std::generic_category().message(number)};
}

}  // namespace weir
