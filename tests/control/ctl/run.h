// Runs weirctl in-process.
#pragma once

#include <chrono>
#include <sstream>
#include <string>
#include <vector>

#include "control/ctl/program.h"

namespace weir::test {

struct Ran {
  int exit = -1;
  std::string out;
  std::string err;

  ctl::Json json() const { return ctl::Json::parse(out, nullptr, false); }
  ctl::Json error() const { return ctl::Json::parse(err, nullptr, false); }
};

// `timeout` is long enough for a busy machine where an answer is expected; tests of
// silent daemons give a short one.
inline Ran run_ctl(const std::string& run_dir, std::vector<std::string> arguments,
                   std::chrono::milliseconds timeout = std::chrono::seconds(20)) {
  ctl::Program program(timeout);
  ctl::add_all_commands(program);
  arguments.insert(arguments.begin(), {"weirctl", "--run-dir", run_dir});
  std::vector<const char*> argv;
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  std::ostringstream out;
  std::ostringstream err;
  Ran ran;
  ran.exit = program.run(static_cast<int>(argv.size()), argv.data(), out, err);
  ran.out = out.str();
  ran.err = err.str();
  return ran;
}

}  // namespace weir::test
