// From weir's errors to CNI's numbers.
#pragma once

#include <string>

#include "cni/error.h"
#include "dataplane/api/error.h"

namespace weir::control {

// `what` is the sentence's beginning, "" = none. The cause becomes the details.
cni::Error cni_error(const Error& error, const std::string& what = "");

}  // namespace weir::control
