// Runs another program to its end, within a time and a memory bound.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "dataplane/api/error.h"

namespace weir::control {

struct Program {
  std::string path;
  std::vector<std::string> arguments;    // after its own name
  std::vector<std::string> environment;  // NAME=value, all that it gets
  std::string input;                     // on its stdin
  std::chrono::milliseconds bound{};     // killed, with its process group, afterwards
};

struct ProgramEnd {
  int status = 0;      // as waitpid() reports it
  std::string output;  // stdout
  std::string errors;  // the first kilobytes of stderr
};

// Blocks the calling thread. The program gets no descriptor but the three standard ones,
// a process group of its own, and dies with this thread: nobody would undo what it does
// after weir-control was killed. Errors: timeout, limit (more than 8 MiB of output), io.
Result<ProgramEnd> run_program(const Program& program);

}  // namespace weir::control
