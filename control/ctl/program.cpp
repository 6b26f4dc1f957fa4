#include "control/ctl/program.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "config/paths.h"
#include "dataplane/api/net.h"

namespace weir::ctl {
namespace {

// Known before parsing is done, because parsing itself may be what fails.
bool wants_json(int argc, const char* const* argv) {
  return std::any_of(argv, argv + argc, [](std::string_view argument) {
    return argument == "-j" || argument == "--json";
  });
}

const CLI::App* parsed_child(const CLI::App& app) {
  const auto parsed = app.get_subcommands();
  return parsed.empty() ? nullptr : parsed.front();
}

// What was wrong with the line; CLI11 does not say which words may follow.
std::string usage_text(const CLI::App& root, const CLI::ParseError& error) {
  std::string path = root.get_name();
  const CLI::App* last = &root;
  while (const CLI::App* child = parsed_child(*last)) {
    path += " " + child->get_name();
    last = child;
  }
  const std::string help = "see '" + path + " --help'";
  std::string choices;
  for (const CLI::App* choice : last->get_subcommands({})) {
    choices += (choices.empty() ? "" : ", ") + choice->get_name();
  }
  const bool required = dynamic_cast<const CLI::RequiredError*>(&error) != nullptr;
  if (!required || choices.empty()) return std::string(error.what()) + ": " + help;
  return "'" + path + "' must be followed by one of " + choices + ": " + help;
}

void print_error(std::ostream& err, bool json, std::string_view code, std::string text) {
  std::ranges::replace(text, '\n', ' ');
  text = printable(text);
  if (json) {
    err << dump_line({{"error", {{"code", code}, {"text", text}}}});
  } else {
    err << "weirctl: " << text << "\n";
  }
}

}  // namespace

Program::Program(std::chrono::milliseconds timeout)
    : app_("Looks into a weir node and changes its routes and services.", "weirctl"),
      run_dir_(config::run_dir()),
      timeout_(timeout) {
  app_.require_subcommand(1);
  // Options of the root may stand anywhere on the line.
  app_.fallthrough();
  app_.footer("-j, --json and --run-dir may stand anywhere on the line. See weirctl(1).");
  app_.set_version_flag("--version", std::string("weirctl ") + WEIR_VERSION);
  app_.add_flag("-j,--json", json_, "JSON instead of tables");
  app_.add_option("--run-dir", run_dir_, "directory of the daemons' sockets")
      ->type_name("DIR")
      ->capture_default_str();
}

CLI::App* Program::noun(const std::string& name, const std::string& description) {
  return group(&app_, name, description);
}

CLI::App* Program::group(CLI::App* parent, const std::string& name,
                         const std::string& description) {
  CLI::App* app = parent->add_subcommand(name, description);
  app->require_subcommand(1);
  return app;
}

CLI::App* Program::verb(CLI::App* parent, const std::string& name, const std::string& description,
                        Action action) {
  CLI::App* app = parent->add_subcommand(name, description);
  app->callback([this, app, action = std::move(action)] {
    if (app->get_subcommands().empty()) chosen_ = action;  // CLI11 calls a verb's own first
  });
  return app;
}

int Program::usage_error(const CLI::ParseError& error, bool json, std::ostream& out,
                         std::ostream& err) {
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
    app_.exit(error, out, err);  // --help
    return kExitOk;
  }
  print_error(err, json, "usage", usage_text(app_, error));
  return kExitUsage;
}

int Program::run(int argc, const char* const* argv, std::ostream& out, std::ostream& err) {
  const bool json = wants_json(argc, argv);
  try {
    app_.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return usage_error(error, json, out, err);
  }
  Session session{.out = out, .err = err, .json = json_, .run_dir = run_dir_, .timeout = timeout_};
  const Status status = chosen_(session);
  out.flush();
  if (!status) {
    print_error(err, json_, to_string(status.error().code), status.error().text);
    return kExitFailure;
  }
  if (!out) {
    print_error(err, json_, "io", "cannot write the output: is the disk full or the pipe closed?");
    return kExitFailure;
  }
  return kExitOk;
}

void add_all_commands(Program& program) {
  add_port_commands(program);
  add_route_commands(program);
  add_neighbor_commands(program);
  add_worker_commands(program);
  add_drop_commands(program);
  add_conn_commands(program);
  add_stats_command(program);
  add_pod_commands(program);
  add_trace_command(program);
  add_status_commands(program);
  add_service_commands(program);
  add_cni_commands(program);
  add_plan_command(program);
  add_completion_command(program);
}

CLI::Validator is_prefix() {
  return {[](std::string& text) -> std::string {
            if (parse_prefix(text)) return {};
            return "'" + text + "' is no prefix (10.1.0.0/16 or fd00::/64, host bits zero)";
          },
          "", "prefix"};
}

CLI::Validator is_address() {
  return {[](std::string& text) -> std::string {
            if (parse_address(text)) return {};
            return "'" + text + "' is no IPv4 or IPv6 address";
          },
          "", "address"};
}

}  // namespace weir::ctl
