// Text from weir-control's JSON answers. A member that is missing or of another type
// than expected is shown as it is or left out; nothing throws.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "control/ctl/text.h"

namespace weir::ctl {

// The member, or null when there is none or `object` is no object.
const Json& member(const Json& object, std::string_view key);

// A value in one cell: lists joined by commas, objects as key=value.
std::string cell_of(const Json& value);

// "key:  value" lines, each after `indent`; underscores in keys become blanks.
std::string fields_of(const Json& object, std::string_view indent = "");

// A table of the members `keys` of each object; `nothing` when there are no rows.
std::string table_of(const Json& rows, const std::vector<std::string>& keys,
                     std::string_view nothing);

}  // namespace weir::ctl
