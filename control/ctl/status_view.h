// How the daemons' own state looks. Fixed records in, text or JSON out.
#pragma once

#include <string>

#include "control/ctl/text.h"
#include "dataplane/api/error.h"
#include "dataplane/api/protocol.h"

namespace weir::ctl {

struct DataplaneAnswer {
  api::Hello hello;
  api::DataplaneStatus status;
};

// A daemon that did not answer shows its Error.
std::string status_text(const Result<DataplaneAnswer>& dataplane, const Result<Json>& control);
Json status_json(const Result<DataplaneAnswer>& dataplane, const Result<Json>& control);

}  // namespace weir::ctl
