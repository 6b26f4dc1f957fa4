// What weirctl asks: pod.list, ipam.show, route.add, route.del, route.list, status,
// service.apply, service.delete, service.list, service.show, service.explain.
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

// {text}: JSON with Services and EndpointSlices. All of it or nothing is kept; answers
// when the dataplane has it, or at once while that is away.
Task<cni::Outcome<cni::Json>> apply_services(Controller& controller, cni::Json params);
// {namespace, name}: the operator's Service and its slices.
Task<cni::Outcome<cni::Json>> delete_service(Controller& controller, cni::Json params);
// {namespace, name}; the default namespace when there is none.
cni::Outcome<ObjectName> read_service_name(const cni::Json& params);
cni::Outcome<cni::Json> list_services(const Controller& controller);
cni::Outcome<cni::Json> show_service(const Controller& controller, const cni::Json& params);
cni::Outcome<cni::Json> explain_service(const Controller& controller, const cni::Json& params);

}  // namespace weir::control
