// What the requests of the dataplane API about services and connections do.
#pragma once

#include "dataplane/runtime/dataplane.h"
#include "dataplane/runtime/replies.h"

namespace weir::dataplane {

// The replies to one request of the types 50..69.
Replies answer_service(Dataplane& dataplane, const Message& request);

}  // namespace weir::dataplane
