// What weirctl asks: pod.list, ipam.show, route.add, route.del, route.list, status.
#pragma once

#include <string>

#include "cni/error.h"
#include "cni/json.h"
#include "control/controller.h"

namespace weir::control {

// Code 4 for an unknown method.
Task<cni::Outcome<cni::Json>> run_operator_method(Controller& controller, std::string method,
                                                  cni::Json params);

cni::Outcome<cni::Json> list_pods(Controller& controller);
cni::Outcome<cni::Json> show_ipam(Controller& controller);
cni::Outcome<cni::Json> show_status(Controller& controller);

// {prefix, and one of via, port, kind}. The dataplane is asked first; what it refuses is
// not kept.
Task<cni::Outcome<cni::Json>> add_route(Controller& controller, cni::Json params);
Task<cni::Outcome<cni::Json>> delete_route(Controller& controller, cni::Json params);
cni::Outcome<cni::Json> list_routes(Controller& controller);

}  // namespace weir::control
