// How routes look. Fixed records in, text or JSON out.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "control/ctl/port_view.h"
#include "control/ctl/text.h"
#include "dataplane/api/protocol.h"

namespace weir::ctl {

std::string_view to_string(api::RouteKind kind) noexcept;

// IPv4 first, then by address, the shorter prefix first.
void sort_routes(std::vector<api::Route>& routes);

std::string routes_text(std::span<const api::Route> routes, const PortNames& names);
Json routes_json(std::span<const api::Route> routes, const PortNames& names);
Json route_json(const api::Route& route, const PortNames& names);

}  // namespace weir::ctl
