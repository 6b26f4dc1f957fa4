// weirctl cni install | weirctl cni remove
#include <filesystem>
#include <memory>

#include "control/ctl/install.h"
#include "control/ctl/program.h"
#include "control/ctl/table.h"

namespace weir::ctl {
namespace {

constexpr char kPlugin[] = "weir-cni";
constexpr unsigned kProgramMode = 0755;
constexpr unsigned kListMode = 0644;

struct CniOptions {
  std::string program = WEIR_CNI_PROGRAM;
  std::string conflist = WEIR_CNI_CONFLIST;
  std::string bin_dir = "/opt/cni/bin";
  std::string conf_dir = "/etc/cni/net.d";
  bool force = false;

  std::string installed_program() const { return bin_dir + "/" + kPlugin; }
  std::string installed_conflist() const {
    return conf_dir + "/" + std::filesystem::path(conflist).filename().string();
  }
};

Status show_files(const Session& session, const CniOptions& options, const char* program,
                  const char* conflist) {
  const auto to_json = [&] {
    return Json{{"program", {{"path", options.installed_program()}, {"state", program}}},
                {"conflist", {{"path", options.installed_conflist()}, {"state", conflist}}}};
  };
  const auto to_text = [&] {
    Fields fields;
    fields.add(options.installed_program(), program);
    fields.add(options.installed_conflist(), conflist);
    return fields.text();
  };
  return show(session, to_json, to_text);
}

// The program first: the moment the list is there, the runtime calls it.
Status install(const Session& session, const CniOptions& options) {
  const auto program =
      install_file(options.program, options.installed_program(), kProgramMode, true);
  if (!program) return program.error();
  const auto conflist =
      install_file(options.conflist, options.installed_conflist(), kListMode, options.force);
  if (!conflist) return conflist.error();
  if (*conflist == Installed::kept) {
    session.err << "weirctl: " << options.installed_conflist() << " differs from "
                << options.conflist << " and was kept; --force replaces it\n";
  }
  return show_files(session, options, to_text(*program), to_text(*conflist));
}

// In reverse, so that no list ever names a program that is not there.
Status remove(const Session& session, const CniOptions& options) {
  const std::string list = options.installed_conflist();
  const bool present = std::filesystem::exists(list);
  if (present && !options.force && !same_contents(list, options.conflist)) {
    return {ErrorCode::exists, list + " was edited: nothing is removed; --force removes it too"};
  }
  if (const Status gone = remove_file(list); !gone) return gone;
  if (const Status gone = remove_file(options.installed_program()); !gone) return gone;
  return show_files(session, options, "removed", "removed");
}

void add_options(CLI::App* app, const std::shared_ptr<CniOptions>& options) {
  app->add_option("--bin-dir", options->bin_dir, "directory of CNI plugins")
      ->type_name("DIR")
      ->capture_default_str();
  app->add_option("--conf-dir", options->conf_dir, "directory of CNI network lists")
      ->type_name("DIR")
      ->capture_default_str();
  app->add_option("--conflist", options->conflist, "the network list")
      ->type_name("FILE")
      ->capture_default_str();
}

}  // namespace

void add_cni_commands(Program& program) {
  CLI::App* cni = program.noun("cni", "the plugin in the container runtime's directories");
  const auto options = std::make_shared<CniOptions>();
  CLI::App* put = program.verb(cni, "install", "copies plugin and network list, each in one step",
                               [options](Session& session) { return install(session, *options); });
  add_options(put, options);
  put->add_option("--program", options->program, "the plugin")
      ->type_name("FILE")
      ->capture_default_str();
  put->add_flag("--force", options->force, "replace a network list that somebody edited");
  CLI::App* take = program.verb(cni, "remove", "removes network list and plugin",
                                [options](Session& session) { return remove(session, *options); });
  add_options(take, options);
  take->add_flag("--force", options->force, "remove a network list that somebody edited");
}

}  // namespace weir::ctl
