// Text from weir-control's JSON answers. Keys that this release does not know are
// shown too, so that an older weirctl hides nothing of a newer daemon.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "control/ctl/text.h"

namespace weir::ctl {

// A value in one cell: lists joined by commas, objects as key=value.
std::string cell_of(const Json& value);

// "key:  value" lines, each after `indent`; underscores in keys become blanks.
std::string fields_of(const Json& object, std::string_view indent = "");

// A table of objects: `first` are the columns to begin with, all other keys follow in
// their order. `nothing` when there are no rows.
std::string table_of(const Json& rows, const std::vector<std::string>& first,
                     std::string_view nothing);

}  // namespace weir::ctl
