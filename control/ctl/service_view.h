// Services as weir-control describes them, for people.
#pragma once

#include <string>

#include "control/ctl/text.h"

namespace weir::ctl {

inline Json same_json(const Json& answer) { return answer; }

std::string applied_text(const Json& answer);      // of service.apply
std::string services_text(const Json& services);   // of service.list
std::string service_text(const Json& service);     // of service.show
std::string explanation_text(const Json& answer);  // of service.explain

}  // namespace weir::ctl
