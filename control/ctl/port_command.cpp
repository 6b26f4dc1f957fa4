// weirctl port list | show
#include <memory>
#include <string>

#include "control/ctl/port_view.h"
#include "control/ctl/program.h"

namespace weir::ctl {
namespace {

Status list_ports(Session& session) {
  auto client = session.dataplane();
  if (!client) return client.error();
  const auto ports = client->port_list();
  if (!ports) return ports.error();
  return show(session, ports_json, ports_text, *ports);
}

Status show_port(Session& session, const std::string& reference) {
  auto client = session.dataplane();
  if (!client) return client.error();
  const auto ports = client->port_list();
  if (!ports) return ports.error();
  const auto port = find_port(*ports, reference);
  if (!port) return port.error();
  const auto drops = client->drop_list((*port)->config.key);
  if (!drops) return drops.error();
  return show(session, port_json, port_text, **port, *drops);
}

}  // namespace

void add_port_commands(Program& program) {
  CLI::App* port = program.noun("port", "ports of pods, of the node and of uplinks");
  program.verb(port, "list", "one line for each port", list_ports);
  auto reference = std::make_shared<std::string>();
  program
      .verb(port, "show", "one port with its drops",
            [reference](Session& session) { return show_port(session, *reference); })
      ->add_option("port", *reference, "its key, name or address")
      ->type_name("PORT")
      ->required();
}

}  // namespace weir::ctl
