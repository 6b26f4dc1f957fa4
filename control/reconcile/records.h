// Attachments as files, so that a lost store can be rebuilt from the living:
// <run>/attachments/<id>.json.
//
// The directory goes with a reboot, as do the pods. A record is written before its row
// becomes ready and removed before its row is torn down, so a record without a row means
// that the store was lost.
// Thread safety: the control thread; the files are small and in memory (tmpfs).
#pragma once

#include <string>
#include <vector>

#include "control/store/store.h"

namespace weir::control {

struct Record {
  std::string boot_id;  // of the kernel that it was written under
  Attachment row;
  std::vector<Lease> leases;
};

// Of this kernel's run.
std::string current_boot_id();

// Whole or not at all, whenever the process dies.
Status write_record(const std::string& directory, const Record& record);
// Absent is success.
Status remove_record(const std::string& directory, uint64_t id);
// Those that can be read; the others are reported in the log and removed.
std::vector<Record> read_records(const std::string& directory);

}  // namespace weir::control
