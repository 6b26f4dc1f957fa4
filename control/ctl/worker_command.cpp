// weirctl worker show
#include "control/ctl/program.h"
#include "control/ctl/worker_view.h"

namespace weir::ctl {
namespace {

Status show_workers(Session& session) {
  auto client = session.dataplane();
  if (!client) return client.error();
  const auto workers = client->worker_list();
  if (!workers) return workers.error();
  return show(session, workers_json, workers_text, *workers);
}

}  // namespace

void add_worker_commands(Program& program) {
  CLI::App* worker = program.noun("worker", "the threads that move packets");
  program.verb(worker, "show", "place, load and cycles of each worker", show_workers);
}

}  // namespace weir::ctl
