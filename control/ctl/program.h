// weirctl's command tree. Each noun adds its verbs here; the tree also is the source
// of the bash completion and of the test that the manual names every command.
#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <functional>
#include <ostream>
#include <string>

#include "control/ctl/session.h"

namespace weir::ctl {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailure = 1;
inline constexpr int kExitUsage = 2;

using Action = std::function<Status(Session&)>;

class Program {
 public:
  // `timeout` bounds each question to a daemon.
  explicit Program(std::chrono::milliseconds timeout = std::chrono::seconds(5));
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // A word that is followed by a verb.
  CLI::App* noun(const std::string& name, const std::string& description);
  // A word that runs `action`, unless a verb of its own follows; `parent` is a noun, a verb
  // or root().
  static CLI::App* group(CLI::App* parent, const std::string& name, const std::string& description);
  CLI::App* verb(CLI::App* parent, const std::string& name, const std::string& description,
                 Action action);
  CLI::App* root() noexcept { return &app_; }

  // Parses and runs. Output to `out`; on failure one sentence, or with -j one JSON
  // object {"error": {"code", "text"}}, to `err`.
  int run(int argc, const char* const* argv, std::ostream& out, std::ostream& err);

 private:
  int usage_error(const CLI::ParseError& error, bool json, std::ostream& out, std::ostream& err);

  CLI::App app_;
  bool json_ = false;
  std::string run_dir_;
  std::chrono::milliseconds timeout_;
  Action chosen_;
};

// One for each source file <noun>_command.cpp.
void add_port_commands(Program& program);
void add_route_commands(Program& program);
void add_neighbor_commands(Program& program);
void add_worker_commands(Program& program);
void add_drop_commands(Program& program);
void add_conn_commands(Program& program);
void add_stats_command(Program& program);
void add_pod_commands(Program& program);
void add_trace_command(Program& program);
void add_trace_route_command(Program& program, CLI::App* trace);
void add_status_commands(Program& program);
void add_service_commands(Program& program);
void add_cni_commands(Program& program);
void add_plan_command(Program& program);
void add_completion_command(Program& program);

void add_all_commands(Program& program);

// Checks of arguments, for CLI11: a wrong one is a usage error.
CLI::Validator is_prefix();
CLI::Validator is_address();

}  // namespace weir::ctl
