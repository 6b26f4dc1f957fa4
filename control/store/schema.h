// The store's tables and how older files become the present one.
#pragma once

#include "control/store/database.h"

namespace weir::control {

// What user_version says in a file of this version.
int schema_version() noexcept;

// Brings the file to schema_version(), step by step, each in its own transaction.
// `version` when the file is of a newer weir; Database::damage() when it holds
// something else than weir's store.
Status migrate(Database& database);

}  // namespace weir::control
