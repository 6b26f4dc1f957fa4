// weirctl conn list, conn stats
#include <memory>
#include <optional>

#include "control/ctl/conn_view.h"
#include "control/ctl/program.h"

namespace weir::ctl {
namespace {

constexpr uint32_t kPage = 10000;  // what the dataplane answers at once, at most

struct ConnOptions {
  std::string address;
  uint16_t port = 0;
  std::string protocol;
  uint32_t limit = 1000;
};

// Page by page, as the dataplane does not hold a table of a million still.
Result<std::vector<api::ConnectionState>> fetch(api::Client& client, const ConnOptions& options) {
  api::ConnectionQuery query{.port = options.port, .protocol = protocol_number(options.protocol)};
  if (!options.address.empty()) query.address = *parse_address(options.address);
  std::vector<api::ConnectionState> all;
  while (all.size() < options.limit) {
    query.limit = std::min<uint32_t>(kPage, options.limit - static_cast<uint32_t>(all.size()));
    const auto page = client.connection_list(query);
    if (!page) return page.error();
    all.insert(all.end(), page->begin(), page->end());
    if (page->size() < query.limit) break;
    query.first = page->back().number + 1;
  }
  return all;
}

Status list_connections(Session& session, const ConnOptions& options) {
  auto client = session.dataplane();
  if (!client) return client.error();
  const auto connections = fetch(*client, options);
  if (!connections) return connections.error();
  const auto ports = client->port_list();
  if (!ports) return ports.error();
  return show(session, connections_json, connections_text, *connections, port_names(*ports));
}

Status show_stats(Session& session) {
  auto client = session.dataplane();
  if (!client) return client.error();
  const auto stats = client->connection_stats();
  if (!stats) return stats.error();
  return show(session, connection_stats_json, connection_stats_text, *stats);
}

}  // namespace

void add_conn_commands(Program& program) {
  CLI::App* conn = program.noun("conn", "connections to services, which are translated");
  const auto options = std::make_shared<ConnOptions>();
  CLI::App* list =
      program.verb(conn, "list", "connections with their client, frontend and backend",
                   [options](Session& session) { return list_connections(session, *options); });
  list->add_option("--address", options->address, "with this client, frontend or backend")
      ->type_name("ADDRESS")
      ->check(is_address());
  list->add_option("--port", options->port, "with this port there")
      ->type_name("N")
      ->check(CLI::Range(1, 65535).description(""));
  list->add_option("--protocol", options->protocol, "of this protocol alone")
      ->type_name("tcp|udp|sctp")
      ->check(CLI::IsMember({"tcp", "udp", "sctp"}).description(""));
  list->add_option("--limit", options->limit, "so many at most")
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 24).description(""));
  program.verb(conn, "stats", "how full their table is, and what became of connections", show_stats);
}

}  // namespace weir::ctl
