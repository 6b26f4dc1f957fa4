// weirctl neighbor list
#include "control/ctl/neighbor_view.h"
#include "control/ctl/program.h"

namespace weir::ctl {
namespace {

Status list_neighbors(Session& session) {
  auto client = session.dataplane();
  if (!client) return client.error();
  const auto neighbors = client->neighbor_list();
  if (!neighbors) return neighbors.error();
  const auto ports = client->port_list();
  if (!ports) return ports.error();
  return show(session, neighbors_json, neighbors_text, *neighbors, port_names(*ports));
}

}  // namespace

void add_neighbor_commands(Program& program) {
  CLI::App* neighbor = program.noun("neighbor", "neighbours on uplinks");
  program.verb(neighbor, "list", "who was asked for, and who answered", list_neighbors);
}

}  // namespace weir::ctl
