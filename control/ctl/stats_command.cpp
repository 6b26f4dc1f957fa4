// weirctl stats
#include <chrono>
#include <memory>
#include <thread>

#include "control/ctl/program.h"
#include "control/ctl/stats_view.h"

namespace weir::ctl {
namespace {

Result<StatsSnapshot> take_snapshot(api::Client& client) {
  auto ports = client.port_list();
  if (!ports) return ports.error();
  auto workers = client.worker_list();
  if (!workers) return workers.error();
  auto drops = client.drop_list();
  if (!drops) return drops.error();
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  const auto stamp = std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
  return StatsSnapshot{static_cast<uint64_t>(stamp), *std::move(ports), *std::move(workers),
                       *std::move(drops)};
}

Status show_stats(Session& session, double interval) {
  auto client = session.dataplane();
  if (!client) return client.error();
  auto before = take_snapshot(*client);
  if (!before) return before.error();
  if (interval <= 0) return show(session, stats_json, stats_text, *before, *before);
  std::this_thread::sleep_for(std::chrono::duration<double>(interval));
  const auto after = take_snapshot(*client);
  if (!after) return after.error();
  return show(session, stats_json, stats_text, *before, *after);
}

}  // namespace

void add_stats_command(Program& program) {
  const auto interval = std::make_shared<double>(1.0);
  program
      .verb(program.root(), "stats", "rates and totals of ports, workers and drops on one page",
            [interval](Session& session) { return show_stats(session, *interval); })
      ->add_option("--interval", *interval, "measure rates over so many seconds; 0 = totals only")
      ->type_name("S")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 3600.0).description(""));
}

}  // namespace weir::ctl
