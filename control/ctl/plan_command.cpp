// weirctl plan
#include <memory>

#include "control/ctl/plan.h"
#include "control/ctl/program.h"

namespace weir::ctl {
namespace {

struct PlanOptions {
  PlanInput input{.pods = 110};
  std::string config;
};

// Needs no daemon: it is asked before there is one.
Status show_plan(const Session& session, PlanOptions options) {
  const auto config = config::load(options.config, {.check_cores = false});
  if (!config) return config.error();
  if (options.input.memif > options.input.pods) {
    return {ErrorCode::invalid_argument, "--memif counts some of --pods and cannot exceed it"};
  }
  if (options.input.mtu == 0) options.input.mtu = config->network.mtu;
  return show(session, plan_json, plan_text, make_plan(*config, options.input));
}

}  // namespace

void add_plan_command(Program& program) {
  const auto options = std::make_shared<PlanOptions>();
  CLI::App* plan =
      program.verb(program.root(), "plan", "hugepages, buffers and memory for pods",
                   [options](Session& session) { return show_plan(session, *options); });
  PlanInput& input = options->input;
  plan->add_option("--pods", input.pods, "pods on the node")->capture_default_str();
  plan->add_option("--memif", input.memif, "how many of them have memif ports")
      ->capture_default_str();
  plan->add_option("--mtu", input.mtu, "L3 bytes (default: network.mtu)")
      ->check(CLI::Range(68, 65535));
  plan->add_option("--ring", input.ring, "descriptors of a memif ring")
      ->check(CLI::Range(32, 16384))
      ->capture_default_str();
  plan->add_option("--buffer", input.buffer, "bytes of a memif buffer")
      ->check(CLI::Range(256, 65535))
      ->capture_default_str();
  plan->add_option("--queues", input.queues, "memif queues per direction")
      ->check(CLI::Range(1, 16))
      ->capture_default_str();
  plan->add_option("--config", options->config, "weir.json (default: /etc/weir/weir.json)")
      ->type_name("FILE");
}

}  // namespace weir::ctl
