// DELs that came while weir-control was away. The shim writes them, weir-control
// carries them out when it starts and before every ADD, then removes them.
// One file an attachment, named after it: a runtime that repeats a DEL for hours
// does not fill the disk. Durable: a file that write_spool() reported is on disk.
#pragma once

#include <string>
#include <vector>

#include "cni/request.h"
#include "dataplane/api/error.h"

namespace weir::cni {

// <state directory>/spool
std::string spool_dir();

struct SpoolEntry {
  std::string file;  // name inside the directory
  Outcome<Request> request;
};

// Creates the directory (0700) and its parent (0755) when missing. `network` is the
// network's name. Errors as errno_error() gives them; nothing half written stays.
Status write_spool(const std::string& directory, const std::string& network,
                   const Request& request);

// Every entry, the unreadable ones with their error. A missing directory is empty.
// Removes temporary files that a killed shim left more than a minute ago.
weir::Result<std::vector<SpoolEntry>> read_spool(const std::string& directory);

// Cheap: for a look before each request. True also when it cannot be read.
bool spool_is_empty(const std::string& directory);

// Success when the file is not there.
Status remove_spool(const std::string& directory, const std::string& file);

}  // namespace weir::cni
