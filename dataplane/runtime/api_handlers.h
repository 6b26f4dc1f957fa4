// What each request of the dataplane API does.
#pragma once

#include <vector>

#include "dataplane/api/codec.h"
#include "dataplane/runtime/dataplane.h"

namespace weir::dataplane {

// The replies to one request, at least one. Takes the request's descriptors.
std::vector<api::Message> answer(Dataplane& dataplane, api::Message& request);

}  // namespace weir::dataplane
