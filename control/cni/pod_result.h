// What an ADD answers.
#pragma once

#include "cni/result.h"
#include "control/cni/add_plan.h"

namespace weir::control {

// `routes` as they were set. A chained prevResult comes first, its parts unchanged.
cni::Result make_result(const AddPlan& plan, const Attachment& row,
                        const std::vector<Lease>& leases,
                        const std::vector<cni::RouteConfig>& routes, const api::PortConfig& port);

}  // namespace weir::control
