// bash completion, generated from the command tree.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace weir::ctl {

// A script for bash-completion 2 that knows every command and option of `root`.
// Arguments whose type name is PORT complete to the node's ports.
std::string bash_completion(const CLI::App& root);

}  // namespace weir::ctl
