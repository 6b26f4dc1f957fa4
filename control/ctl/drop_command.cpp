// weirctl drop list
#include <memory>
#include <string>

#include "control/ctl/drop_view.h"
#include "control/ctl/port_view.h"
#include "control/ctl/program.h"

namespace weir::ctl {
namespace {

struct DropOptions {
  std::string port;
  bool all = false;
};

Status list_drops(Session& session, const DropOptions& options) {
  auto client = session.dataplane();
  if (!client) return client.error();
  uint64_t key = 0;
  if (!options.port.empty()) {
    const auto ports = client->port_list();
    if (!ports) return ports.error();
    const auto port = find_port(*ports, options.port);
    if (!port) return port.error();
    key = (*port)->config.key;
  }
  auto drops = client->drop_list(key);
  if (!drops) return drops.error();
  return show(session, drops_json, drops_text, options.all ? *drops : nonzero(*drops));
}

}  // namespace

void add_drop_commands(Program& program) {
  CLI::App* drop = program.noun("drop", "packets that were dropped, by reason");
  const auto options = std::make_shared<DropOptions>();
  CLI::App* list =
      program.verb(drop, "list", "counters that are not zero",
                   [options](Session& session) { return list_drops(session, *options); });
  list->add_option("--port", options->port, "of one port, by key, name or address")
      ->type_name("PORT");
  list->add_flag("--all", options->all, "zero counters too");
}

}  // namespace weir::ctl
