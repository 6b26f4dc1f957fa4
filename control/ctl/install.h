// Puts the plugin and its network list where a container runtime looks for them.
#pragma once

#include <string>

#include "dataplane/api/error.h"

namespace weir::ctl {

enum class Installed : uint8_t {
  made,       // it was not there
  replaced,   // it was there and differed
  unchanged,  // it was there already, the same bytes
  kept,       // it differs from ours: somebody edited it
};

const char* to_text(Installed what) noexcept;

// Copies a file so that a reader of `target` sees the old or the new one, whole, whatever
// happens: written and flushed under a hidden name in the same directory, then renamed.
// Watchers of /etc/cni/net.d (containerd, CRI-O) take no notice of the hidden name, which
// has none of their suffixes, and get one event for the rename. Makes the directory.
// `overwrite` false: a target that differs is kept.
Result<Installed> install_file(const std::string& source, const std::string& target, unsigned mode,
                               bool overwrite);

// True when both hold the same bytes; false also when one cannot be read.
bool same_contents(const std::string& a, const std::string& b);

// Absent is success.
Status remove_file(const std::string& path);

}  // namespace weir::ctl
