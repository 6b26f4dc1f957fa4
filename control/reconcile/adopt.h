// What a lost or damaged store knew, from the records beside it.
#pragma once

#include "control/controller.h"

namespace weir::control {

// Puts every record whose row is gone back into the store, with its id, so that
// interfaces and ports stay as they are, and with its addresses, so that nobody else gets
// them. What is dead by now goes at the reconciliation that follows. Before anything else
// uses the store.
void adopt_recorded(Store& store, Ipam& ipam, const std::string& directory);

// The record of an attachment that is about to become ready.
Status record_attachment(const Controller& controller, const Attachment& row,
                         const std::vector<Lease>& leases);

}  // namespace weir::control
