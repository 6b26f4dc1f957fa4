// weir's short way to write a service down, turned into the objects it stands for:
//   {"name": "web", "namespace": "default", "vips": ["10.96.0.10"],
//    "ports": ["80/tcp->8080"], "backends": ["10.244.0.5", {"address": …, "weight": 3}]}
// docs/services.md lists the keys.
#pragma once

#include <string>
#include <vector>

#include "cni/error.h"
#include "cni/json.h"

namespace weir::control {

// Whether it is meant as one: it has no kind but ports.
bool is_compact(const cni::Json& document);

// A Service and one EndpointSlice for each family, empty ones too, so that applying a
// changed document leaves nothing of the former.
cni::Outcome<std::vector<cni::Json>> expand_compact(const cni::Json& document,
                                                    const std::string& where);

}  // namespace weir::control
