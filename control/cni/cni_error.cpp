#include "control/cni/cni_error.h"

namespace weir::control {

namespace {

cni::Code code_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::config:
    case ErrorCode::invalid_argument: return cni::Code::invalid_config;
    case ErrorCode::unsupported: return cni::Code::unsupported_field;
    case ErrorCode::exists: return cni::Code::exists;
    case ErrorCode::limit: return cni::Code::exhausted;
    case ErrorCode::unavailable:
    case ErrorCode::timeout:
    case ErrorCode::busy: return cni::Code::try_later;
    case ErrorCode::io:
    case ErrorCode::permission: return cni::Code::io_failure;
    default: return cni::Code::internal;
  }
}

}  // namespace

cni::Error cni_error(const Error& error, const std::string& what) {
  if (what.empty()) return {code_of(error.code), error.text, ""};
  return {code_of(error.code), what, error.text};
}

}  // namespace weir::control
